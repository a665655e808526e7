"""Starts of the program that import nothing: forks of a process of this one that has imported all of it before.

Half a second of a start of Python is imports; a suite with hundreds of starts need not pay for each.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

PROGRAM = Path(__file__).with_name("zygote_program.py")
AVAILABLE = sys.platform == "linux" and hasattr(os, "pidfd_open")
READ_AT_IMPORT = (
    *("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_", "OPENSSL_", "SSL", "COVERAGE_"),
    *("TYPER_", "WEBSOCKETS_", "MULTIDICT_", "YARL_", "PROPCACHE_", "AIOHTTP_", "FROZENLIST_", "RUAMEL_"),
)
"""How the names of variables begin that are read before ``main`` is: a fork cannot be given others than its parent."""


class Forked:
    """A run of the program as ``subprocess.Popen`` would have it, whose parent is the zygote.

    A zombie from its end until one asks for its exit code here, so that its id stays its own.
    """

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._zygote = zygote
        self._life = os.pidfd_open(pid)
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        """The exit code (minus the signal's number when one ended it), None while it runs."""
        with self._asking:
            if self.returncode is None and self._has_ended(within_s=0):
                self.returncode = self._zygote.exit_code(self.pid)
                os.close(self._life)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired after so many seconds."""
        if self.returncode is None and not self._has_ended(within_s=timeout):
            raise subprocess.TimeoutExpired(f"a fork of {PROGRAM.name}", timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Nothing, to one that has ended."""
        with self._asking, suppress(ProcessLookupError):
            if self.returncode is None:
                signal.pidfd_send_signal(self._life, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, *, within_s: float | None) -> bool:
        life = select.poll()
        life.register(self._life, select.POLLIN)
        return bool(life.poll(None if within_s is None else within_s * 1000))


class Zygote:
    """The process that is forked. It ends with this one, in whatever way that ends, and all its forks with it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-P", str(PROGRAM), str(theirs.fileno())),
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.pid = self._process.pid

    def start(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        streams: tuple[int, int, int],
        owning_its_terminal: bool = False,
    ) -> Forked:
        """The program with these arguments; ``owning_its_terminal``: leads a session on that of its first stream."""
        request = {
            "arguments": [*arguments],
            "environment": {**environment},
            "folder": str(folder),
            "owning_its_terminal": owning_its_terminal,
        }
        return Forked(self, self._ask(request, *streams))

    def exit_code(self, pid: int) -> int:
        """That of a fork that has ended."""
        return os.waitstatus_to_exitcode(self._ask({"ended": pid}))

    def close(self) -> None:
        """End it, and what is left of its forks."""
        self._control.close()
        self._process.wait()

    def _ask(self, request: Mapping[str, object], *streams: int) -> int:
        answers, theirs = socket.socketpair()
        with answers:
            with theirs:
                socket.send_fds(self._control, [json.dumps(request).encode()], [theirs.fileno(), *streams])
            answer = answers.recv(64)
        assert answer, "the process that is forked has ended"
        return int(answer)


def stands_for(environment: Mapping[str, str], own: Mapping[str, str]) -> bool:
    """Whether a fork of a process that was started with ``own`` is as if it had been started with ``environment``."""
    return AVAILABLE and _read_at_import(environment) == _read_at_import(own)


def _read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_IMPORT)}


@cache
def zygote(source: Path) -> Zygote:
    """That of this process, for the program of a folder of sources."""
    started = Zygote(clean(source))
    atexit.register(started.close)
    return started


def clean(source: Path) -> dict[str, str]:
    """The variables without which nothing runs, and nothing of the developer's own."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(source)}
