"""The program as a child process: started in a clean environment, read while it runs, ended by its own id."""

import errno
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, TypeVar

import orjson

SOURCE = Path(__file__).parents[2] / "src"
PROGRAM = (sys.executable, "-P", "-m", "llm_service")
OWNING_ITS_TERMINAL = (  # so that Ctrl-C is a signal, also where whoever runs the tests in the background ignores it
    "import fcntl, signal, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); signal.signal(signal.SIGINT, signal.SIG_DFL)"
)
STARTED_WITHIN_S = 30.0
ENDED_WITHIN_S = 30.0

Found = TypeVar("Found")


class Output:
    """What a child has written to one of its streams; a thread reads it, so that the child never waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._bytes = b""
        self._ended = False
        self._changed = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        with self._stream:
            while piece := self._piece():
                with self._changed:
                    self._bytes += piece
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _piece(self) -> bytes:
        try:
            return os.read(self._stream.fileno(), 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # how a terminal says that nobody holds its other end any more
                raise
            return b""

    @property
    def text(self) -> str:
        """So far."""
        with self._changed:
            return self._bytes.decode(errors="replace")

    def until(self, find: Callable[[str], Found | None], *, within_s: float = STARTED_WITHIN_S) -> Found:
        """What ``find`` makes of the text, as soon as it makes something of it."""
        found: Found | None = None

        def looked() -> bool:
            nonlocal found
            found = find(self._bytes.decode(errors="replace"))
            return bool(found) or self._ended

        with self._changed:
            self._changed.wait_for(looked, timeout=within_s)
        assert found, f"not found in:\n{self.text}"
        return found

    def until_said(self, words: str) -> str:
        """The text, as soon as it holds these words."""
        return self.until(lambda text: text if words in text else None)

    def all(self) -> str:
        """The whole text of a child that has ended."""
        self._reading.join(ENDED_WITHIN_S)
        return self.text


class Child:
    """One run of the program."""

    def __init__(self, process: "subprocess.Popen[bytes]", *, out: IO[bytes], err: IO[bytes] | None = None) -> None:
        self._process = process
        self.pid = process.pid
        self.out = Output(out)
        self.err = self.out if err is None else Output(err)

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
class Place:
    """Where children run: a folder, which is their home as well, and the variables that they get beside it.

    ``seen_by_coverage``: triples the time of a start, so it is for suites of what only child processes do.
    """

    folder: Path
    variables: Mapping[str, str]
    seen_by_coverage: bool = False
    launcher: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "PYTHONPATH": str(SOURCE)}
        return {**(kept if self.seen_by_coverage else {}), **own, **self.variables}

    def command(self, *arguments: str) -> tuple[str, ...]:
        return (*self.launcher, *PROGRAM, *arguments)


def after(code: str) -> tuple[str, ...]:
    """A launcher that does something to its own process, and becomes the program."""
    return (sys.executable, "-c", f"import os, sys; {code}; os.execv(sys.argv[1], sys.argv[1:])")


UNCACHED: Mapping[str, str] = MappingProxyType({"LLM_SERVICE_CACHE__ENABLED": "false"})
"""What is asked twice reaches the upstream twice."""
PATIENT: Mapping[str, str] = MappingProxyType(
    {
        "LLM_SERVICE_ROUTING__RETRY_BUDGET": "0",
        "LLM_SERVICE_ROUTING__RETRY_BUDGET_MIN": "0",
        "LLM_SERVICE_ROUTING__BREAKER__FAILURES": "10000",
        "LLM_SERVICE_ROUTING__BREAKER__MIN_REQUESTS": "100000",
    }
)
"""Nothing is asked twice, and whoever fails is asked again all the same."""


def place(folder: Path, *, cached: bool = False, resilient: bool = False, **variables: str) -> Place:
    """A folder to run children in; without ``cached`` their upstreams hear of each request, without ``resilient`` of
    each once, and clients of each failure.
    """
    return Place(folder, {**({} if cached else UNCACHED), **({} if resilient else PATIENT), **variables})


def seen_place(folder: Path, *, cached: bool = False, resilient: bool = False, **variables: str) -> Place:
    """One whose children count as covering what they run."""
    where = place(folder, cached=cached, resilient=resilient, **variables)
    return replace(where, seen_by_coverage=True)


@dataclass(frozen=True)
class Serving:
    """A child that serves."""

    child: Child
    banner: Mapping[str, Any]

    @property
    def address(self) -> str:
        return str(self.banner["address"])

    @property
    def pid(self) -> int:
        return self.child.pid

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


@contextmanager
def child(where: Place, *arguments: str) -> Iterator[Child]:
    """The program, its output on pipes, until the block ends."""
    process = subprocess.Popen(
        where.command(*arguments),
        env=where.environment,
        cwd=where.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    started = Child(process, out=process.stdout, err=process.stderr)
    try:
        yield started
    finally:
        started.close()


@contextmanager
def on_terminal(where: Place, *arguments: str) -> Iterator[tuple[Child, Callable[[str], int]]]:
    """The program on a terminal of its own, which shows all that it says, and how to type there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        (*after(OWNING_ITS_TERMINAL), *where.command(*arguments)),
        env=where.environment,
        cwd=where.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    started = Child(process, out=os.fdopen(ours, "rb", buffering=0))
    try:
        yield started, lambda text: os.write(ours, text.encode())
    finally:
        started.close()


@contextmanager
def serving(where: Place, *arguments: str, command: tuple[str, ...] = ("serve",)) -> Iterator[Serving]:
    """A service on a free port, once it has said where it is."""
    with child(where, *command, "--port", "0", "--json", *arguments) as started:
        yield Serving(started, announced(started))


def announced(started: Child) -> Any:
    """The banner of a service that starts. AssertionError with its log, where it says none."""
    try:
        return started.out.until(banner)
    except AssertionError as error:
        raise AssertionError(f"no banner; the log:\n{started.err.text}") from error


def banner(text: str) -> Any:
    """The JSON that a service says first, once it is complete."""
    return orjson.loads(text) if text.endswith("\n}\n") else None


def run(where: Place, *arguments: str, stdin: str = "") -> Finished:
    """The program from its start to its end."""
    done = subprocess.run(
        where.command(*arguments),
        env=where.environment,
        cwd=where.folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=ENDED_WITHIN_S,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
