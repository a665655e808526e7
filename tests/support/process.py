"""The program as a child process: started in a clean environment, read while it runs, ended by its own id."""

import errno
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Protocol, TypeVar

import orjson

from tests.support.zygote import clean, stands_for, zygote

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


class Process(Protocol):
    """Of ``subprocess.Popen``, what a run of the program comes to."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class Child:
    """One run of the program."""

    def __init__(self, process: Process, *, out: IO[bytes], err: IO[bytes] | None = None) -> None:
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
    ``executed``: an interpreter for each child, for suites of what such a process is; else a fork of one that is ready,
    where a fork does as well.
    """

    folder: Path
    variables: Mapping[str, str]
    seen_by_coverage: bool = False
    launcher: tuple[str, ...] = ()
    executed: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        own = {**clean(SOURCE), "HOME": str(self.folder)}
        return {**(kept if self.seen_by_coverage else {}), **own, **self.variables}

    @property
    def forks(self) -> bool:
        """Whether children need no interpreter of their own."""
        alone = self.executed or self.seen_by_coverage or self.launcher
        return not alone and stands_for(self.environment, clean(SOURCE))

    def command(self, *arguments: str) -> tuple[str, ...]:
        return (*self.launcher, *PROGRAM, *arguments)


def after(code: str) -> tuple[str, ...]:
    """A launcher that does something to its own process, and becomes the program."""
    return (sys.executable, "-c", f"import os, sys; {code}; os.execv(sys.argv[1], sys.argv[1:])")


UNCACHED: Mapping[str, str] = MappingProxyType({"LLM_SERVICE_CACHE__ENABLED": "false"})
"""What is asked twice reaches the upstream twice."""
STORE_TIMEOUT = "LLM_SERVICE_STORE__REDIS_TIMEOUT_S"
PATIENT: Mapping[str, str] = MappingProxyType(
    {
        STORE_TIMEOUT: "2",
        "LLM_SERVICE_ROUTING__RETRY_BUDGET": "0",
        "LLM_SERVICE_ROUTING__RETRY_BUDGET_MIN": "0",
        "LLM_SERVICE_ROUTING__BREAKER__FAILURES": "10000",
        "LLM_SERVICE_ROUTING__BREAKER__MIN_REQUESTS": "100000",
    }
)
"""Nothing is asked twice, and whoever fails is asked again all the same; a store is not lost for want of a core."""


def place(folder: Path, *, cached: bool = False, resilient: bool = False, **variables: str) -> Place:
    """A folder to run children in; without ``cached`` their upstreams hear of each request, without ``resilient`` of
    each once, and clients of each failure.
    """
    return Place(folder, {**({} if cached else UNCACHED), **({} if resilient else PATIENT), **variables})


def seen_place(folder: Path, *, cached: bool = False, resilient: bool = False, **variables: str) -> Place:
    """One whose children count as covering what they run."""
    where = place(folder, cached=cached, resilient=resilient, **variables)
    return replace(where, seen_by_coverage=True)


def executed_place(folder: Path, *, cached: bool = False, resilient: bool = False, **variables: str) -> Place:
    """One whose children each are an interpreter of their own, for what such a process takes and is."""
    where = place(folder, cached=cached, resilient=resilient, **variables)
    return replace(where, executed=True)


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


def start(where: Place, *arguments: str, streams: tuple[int, int, int], owning_its_terminal: bool = False) -> Process:
    """The program on these streams, the first of which can be a terminal to lead a session on."""
    if where.forks:
        return zygote(SOURCE).start(
            arguments,
            environment=where.environment,
            folder=where.folder,
            streams=streams,
            owning_its_terminal=owning_its_terminal,
        )
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        (*(after(OWNING_ITS_TERMINAL) if owning_its_terminal else ()), *where.command(*arguments)),
        env=where.environment,
        cwd=where.folder,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=owning_its_terminal,
    )


def started_on_pipes(where: Place, *arguments: str, stdin: int) -> Child:
    """The program, its output on pipes, and what it reads somewhere."""
    (out, its_out), (err, its_err) = os.pipe(), os.pipe()
    try:
        process = start(where, *arguments, streams=(stdin, its_out, its_err))
    except BaseException:
        os.close(out)
        os.close(err)
        raise
    finally:
        os.close(its_out)
        os.close(its_err)
    return Child(process, out=os.fdopen(out, "rb", buffering=0), err=os.fdopen(err, "rb", buffering=0))


@contextmanager
def child(where: Place, *arguments: str) -> Iterator[Child]:
    """The program, its output on pipes, until the block ends."""
    with Path(os.devnull).open("rb") as nothing:
        started = started_on_pipes(where, *arguments, stdin=nothing.fileno())
    try:
        yield started
    finally:
        started.close()


@contextmanager
def on_terminal(where: Place, *arguments: str) -> Iterator[tuple[Child, Callable[[str], int]]]:
    """The program on a terminal of its own, which shows all that it says, and how to type there."""
    ours, theirs = pty.openpty()
    process = start(where, *arguments, streams=(theirs, theirs, theirs), owning_its_terminal=True)
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
    its, ours = os.pipe()
    try:
        started = started_on_pipes(where, *arguments, stdin=its)
    finally:
        os.close(its)
    try:
        with suppress(BrokenPipeError), os.fdopen(ours, "wb") as typing:
            typing.write(stdin.encode())
        code = started.ended()
    finally:
        started.close()
    return Finished(code, started.out.text, started.err.text)
