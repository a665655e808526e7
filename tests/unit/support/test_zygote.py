"""A fork of the process that has imported the program cannot tell itself from a process that was executed."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests.support.process import SOURCE, Finished, Output, Place, child, run
from tests.support.waiting import wait_until
from tests.support.workers import is_alive
from tests.support.zygote import AVAILABLE, PROGRAM, READ_AT_IMPORT, Forked, Zygote, clean, stands_for, zygote

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="this system has no pidfd_open(2)")

CHECKOUT = SOURCE.parent
STAND_IN: Mapping[str, str] = {
    "__init__.py": "",
    "__main__.py": "import sys\nexec(sys.argv[1])\n",
    "cli/__init__.py": "",
    "runtime.py": "from contextlib import nullcontext as lasting\n",
    "sandbox.py": "",
}
"""A program of the same name, that does what its argument says."""
LASTS = "import signal; print('lasts', flush=True); signal.pause()"
TELL = "import asyncio, atexit, gc, os, random, signal, sys, threading; "
SIGNALS = "{one.name: str(signal.getsignal(one)) for one in signal.Signals}, signal.pthread_sigmask(0, ())"
STREAMS = "[(one.name, one.encoding, one.errors, one.newlines, one.line_buffering, one.isatty(), one.fileno())"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for name, code in STAND_IN.items():
        file = folder / "llm_service" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
    return folder


@pytest.fixture(scope="module")
def ready(source: Path) -> Iterator[Zygote]:
    made = Zygote({**clean(source), "ITS_OWN": "and no fork's"})
    yield made
    made.close()


@pytest.fixture
def uninterrupted(source: Path) -> Iterator[Zygote]:
    """One that was started as a shell starts what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        made = Zygote(clean(source))
    finally:
        signal.signal(signal.SIGINT, before)
    yield made
    made.close()


@pytest.fixture
def forked(ready: Zygote, source: Path, tmp_path: Path) -> Iterator["Started"]:
    started = Started(ready, {**clean(source), "HOME": str(tmp_path), "WORD": "a b=c\nd"}, tmp_path)
    yield started
    started.close()


class Started:
    """Runs of the stand-in."""

    def __init__(self, ready: Zygote, environment: Mapping[str, str], folder: Path) -> None:
        self.environment, self.folder = environment, folder
        self._ready = ready
        self._lasting: list[Forked] = []

    def to_its_end(self, code: str, *, stdin: bytes = b"") -> Finished:
        """A fork."""
        places = [self.folder / name for name in ("in", "out", "err")]
        places[0].write_bytes(stdin)
        with places[0].open("rb") as given, places[1].open("wb") as out, places[2].open("wb") as err:
            process = self._ready.start(
                [code],
                environment=self.environment,
                folder=self.folder,
                streams=(given.fileno(), out.fileno(), err.fileno()),
            )
        ended = process.wait(20)
        return Finished(ended, places[1].read_bytes().decode(), places[2].read_bytes().decode())

    def executed(self, code: str, *, stdin: bytes = b"") -> Finished:
        """The same with an interpreter of its own."""
        command = (sys.executable, "-P", "-m", "llm_service", code)
        done = subprocess.run(
            command, input=stdin, env=self.environment, cwd=self.folder, capture_output=True, check=False
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    def lasting(self) -> Forked:
        """A fork that stays."""
        reads, writes = os.pipe()
        with Path(os.devnull).open("rb") as nothing:
            streams = (nothing.fileno(), writes, writes)
            process = self._ready.start([LASTS], environment=self.environment, folder=self.folder, streams=streams)
        self._lasting.append(process)
        os.close(writes)
        output = Output(os.fdopen(reads, "rb", buffering=0))
        output.until_said("lasts")
        return process

    def close(self) -> None:
        for process in self._lasting:
            process.kill()
            process.wait(20)


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "sys.exit(3)",
        "sys.exit('words')",
        "raise KeyboardInterrupt",
        "os._exit(7)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.abort()",
        "os.close(1); print('into nothing')",
        "atexit.register(print, 'at the end'); threading.Timer(0.05, print, ['and before']).start()",
        "print(sys.argv[1:], sys.orig_argv, sys.flags, os.path.basename(sys.argv[0]), __name__)",
        "print(os.getcwd(), sorted(os.environ.items()), os.getenv('WORD'))",
        "os.system('env | grep -v ^_= | sort; pwd')",
        f"print({SIGNALS})",
        f"print({STREAMS} for one in (sys.stdin, sys.stdout, sys.stderr)])",
        "print(sys.stdin.read(), end=''); print('aside', file=sys.stderr)",
        "print(gc.isenabled(), gc.get_threshold(), threading.active_count(), asyncio._get_running_loop())",
        "print(len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')))",
    ],
)
def test_a_fork_does_and_says_what_an_executed_process_does(forked: Started, code: str) -> None:
    found, expected = (one(f"{TELL}{code}", stdin="ä\r\nb\n".encode()) for one in (forked.to_its_end, forked.executed))
    assert (found.code, found.out) == (expected.code, expected.out)
    assert found.err.splitlines()[-1:] == expected.err.splitlines()[-1:]  # a traceback begins in other frames


def test_an_exception_is_told_with_its_traceback_and_fails(forked: Started) -> None:
    done = forked.to_its_end("1 / 0")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Traceback (most recent call last):\n")
    assert done.err.endswith("ZeroDivisionError: division by zero\n")


def test_no_fork_draws_what_another_draws(forked: Started) -> None:
    draw = f"{TELL}print(random.random())"
    assert forked.to_its_end(draw).out != forked.to_its_end(draw).out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_signal_ends_it_and_is_told_as_the_exit_code(forked: Started, number: signal.Signals) -> None:
    process = forked.lasting()
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(number)
    assert (process.wait(20), process.poll(), process.returncode) == (-number, -number, -number)


def test_its_id_stays_its_own_until_one_asks_for_its_exit_code(forked: Started) -> None:
    process = forked.lasting()
    process.kill()
    zombie = psutil.Process(process.pid)
    wait_until(lambda: zombie.status() == psutil.STATUS_ZOMBIE)
    process.terminate()
    assert process.wait(20) == -signal.SIGKILL
    assert not zombie.is_running()
    process.kill()


def test_one_that_owns_its_terminal_is_interrupted_from_there(
    uninterrupted: Zygote, forked: Started, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    process = uninterrupted.start(
        [f"import os, sys; print(os.getsid(0) == os.getpid(), sys.stdout.line_buffering); {LASTS}"],
        environment=forked.environment,
        folder=tmp_path,
        streams=(theirs, theirs, theirs),
        owning_its_terminal=True,
    )
    os.close(theirs)
    shown = Output(os.fdopen(ours, "rb", buffering=0))
    shown.until_said("lasts")
    os.write(ours, b"\x03")
    assert process.wait(20) == -signal.SIGINT
    assert shown.all().startswith("True True\r\nlasts\r\n")


def test_the_process_that_is_forked_has_one_thread_and_no_descriptor_but_its_own(tmp_path: Path) -> None:
    assert run(Place(tmp_path, {}), "--version").code == 0
    made = psutil.Process(zygote(SOURCE).pid)
    assert made.num_threads() == 1
    wait_until(lambda: made.num_fds() == 4)  # what every process has, and how it is asked: no answer is on its way
    assert made.children() == []


def test_who_is_killed_leaves_nothing(source: Path, tmp_path: Path) -> None:
    code = (
        "import pathlib, signal; from tests.support.zygote import Zygote, clean; "
        f"source, made = pathlib.Path({str(source)!r}), Zygote(clean(pathlib.Path({str(source)!r}))); "
        f"process = made.start([{LASTS!r}], environment=clean(source), folder=source, streams=(0, 1, 2)); "
        "print(made.pid, process.pid, flush=True); signal.pause()"
    )
    command = (sys.executable, "-P", "-c", code)
    with subprocess.Popen(
        command, env=clean(CHECKOUT), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as asking:
        assert asking.stdout is not None
        said = {asking.stdout.readline(), asking.stdout.readline()}
        (pids,) = said - {"lasts\n"}
        asking.kill()
        wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.split()))


def test_what_is_imported_reads_no_variable_that_a_fork_could_be_given(tmp_path: Path) -> None:
    code = (
        "import os, runpy\n"
        "names, kind = set(), type(os.environ)\n"
        "reads = kind.__getitem__\n"
        "kind.__getitem__ = lambda here, name: (names.add(name), reads(here, name))[1]\n"
        "kind.__iter__ = lambda here: 1 / 0\n"
        f"runpy.run_path({str(PROGRAM)!r})['import_all']()\n"
        "print(*sorted(names), sep='\\n')\n"
    )
    command = (sys.executable, "-P", "-c", code)
    done = subprocess.run(command, env=clean(SOURCE), cwd=tmp_path, capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert names != []
    assert [name for name in names if not name.startswith(READ_AT_IMPORT)] == []


def test_only_what_an_interpreter_reads_later_can_differ() -> None:
    own = clean(SOURCE)
    assert stands_for({**own, "HOME": "/x", "LLM_SERVICE_SANDBOX": "on"}, own)
    assert not stands_for({**own, "PYTHONUTF8": "0"}, own)
    assert not stands_for({**own, "LANG": "C"}, own)
    assert not stands_for({"PATH": own["PATH"]}, own)


def test_a_place_forks_where_nobody_looks_at_the_process_itself(tmp_path: Path) -> None:
    assert Place(tmp_path, {"WORD": "x"}).forks
    assert not Place(tmp_path, {}, executed=True).forks
    assert not Place(tmp_path, {}, seen_by_coverage=True).forks
    assert not Place(tmp_path, {}, launcher=("env",)).forks
    assert not Place(tmp_path, {"TZ": "Asia/Tokyo"}).forks


@pytest.mark.parametrize("arguments", [("--version",), ("nothing",), ("check-config",), ("serve", "--port", "x")])
def test_the_program_itself_is_the_same(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    variables = {"LLM_SERVICE_SANDBOX": "on"}
    found, expected = (run(Place(tmp_path, variables, executed=executed), *arguments) for executed in (False, True))
    assert found == expected


def test_children_of_a_place_are_forks(tmp_path: Path) -> None:
    with child(Place(tmp_path, {}), "serve", "--port", "0") as started:
        assert psutil.Process(started.pid).ppid() == zygote(SOURCE).pid
