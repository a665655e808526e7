"""The program as a child process: started in a clean environment, read while it runs, ended by its own id."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import orjson

SOURCE = Path(__file__).parents[2] / "src"
PROGRAM = (sys.executable, "-P", "-m", "llm_service")
# Root may write everywhere, whatever the modes say, until it drops CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (Linux).
OBEYS_MODES = "import ctypes, os, sys; [ctypes.CDLL(None).prctl(24, n) for n in (1, 2)]; os.execv(sys.argv[1], sys.argv[1:])"
STARTED_WITHIN_S = 30.0
ENDED_WITHIN_S = 30.0

Found = TypeVar("Found")


class Output:
    """What a child has written to one of its streams; a thread reads it, so that the child never waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._text = ""
        self._ended = False
        self._changed = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                with self._changed:
                    self._text += line.decode()
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        with self._changed:
            return self._text

    def until(self, find: Callable[[str], Found | None], *, within_s: float = STARTED_WITHIN_S) -> Found:
        """What ``find`` makes of the text as soon as it makes something of it."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or find(self._text), timeout=within_s)
            found = find(self._text)
            assert found, f"not found in:\n{self._text}"
            return found

    def all(self) -> str:
        """The whole text, once the child has ended."""
        self._reading.join(ENDED_WITHIN_S)
        return self.text


class Child:
    """One run of the program."""

    def __init__(
        self, *arguments: str, environ: Mapping[str, str], folder: Path, launcher: tuple[str, ...] = ()
    ) -> None:
        self._process = subprocess.Popen(
            (*launcher, *PROGRAM, *arguments),
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.pid = self._process.pid
        self.out = Output(self._process.stdout)
        self.err = Output(self._process.stderr)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self, *, within_s: float = ENDED_WITHIN_S) -> int:
        """The exit code, once there is one."""
        return self._process.wait(within_s)

    def stop(self) -> int:
        """Ask it to end; the exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def close(self) -> None:
        """End it in any case."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.ended(within_s=10)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.ended()
        self.out.all()
        self.err.all()


@dataclass(frozen=True)
class Serving:
    """A child that serves."""

    child: Child
    banner: Mapping[str, Any]

    @property
    def address(self) -> str:
        return str(self.banner["address"])

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log so far; each must be JSON."""
        return [orjson.loads(line) for line in self.child.err.text.splitlines()]


@dataclass(frozen=True)
class Finished:
    """A run that is over."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return orjson.loads(self.out)


def clean(home: Path, *, measured: bool = True, **variables: str) -> dict[str, str]:
    """An environment without anything of the developer's; ``measured``: whether coverage may look on."""
    kept = {name: value for name, value in os.environ.items() if measured and name.startswith("COVERAGE_")}
    own = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(SOURCE)}
    return {**kept, **own, **variables}


@contextmanager
def child(
    *arguments: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    launcher: tuple[str, ...] = (),
) -> Iterator[Child]:
    """The program with these arguments, until the block ends; ``folder`` is where it runs and, unless told, its home."""
    started = Child(*arguments, environ=environ or clean(folder), folder=folder, launcher=launcher)
    try:
        yield started
    finally:
        started.close()


@contextmanager
def serving(
    *arguments: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    launcher: tuple[str, ...] = (),
    command: tuple[str, ...] = ("serve", "--port", "0"),
) -> Iterator[Serving]:
    """A service on a free port, once it has said where it is."""
    with child(*command, "--json", *arguments, folder=folder, environ=environ, launcher=launcher) as started:
        yield Serving(started, started.out.until(banner))


def banner(text: str) -> Any:
    """The JSON that a service says first, once it is complete."""
    return orjson.loads(text) if text.endswith("\n}\n") else None


def run(
    *arguments: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    launcher: tuple[str, ...] = (),
) -> Finished:
    """The program from its start to its end."""
    done = subprocess.run(
        (*launcher, *PROGRAM, *arguments),
        env=environ or clean(folder),
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=ENDED_WITHIN_S,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
