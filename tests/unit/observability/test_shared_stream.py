"""Several processes, one pipe: no line is cut by another."""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from llm_service.observability import ObservabilityOptions, build_log, share_stream
from llm_service.observability.outlet import Outlet
from llm_service.runtime import SystemClock

WRITER = """
import sys, tempfile
from llm_service.observability import share_stream
guard = open(sys.argv[1], "r+b")
stream = share_stream(sys.stdout, guard)
for _ in range(10):
    stream.write(sys.argv[2] * 200_000)
    stream.write("\\n")
    stream.flush()
"""


def test_long_lines_of_two_processes_do_not_mix(tmp_path: Path) -> None:
    guard = tmp_path / "guard"
    guard.touch()
    reading, writing = os.pipe()
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(guard), letter], stdout=writing, env=environment)
        for letter in "ab"
    ]
    os.close(writing)
    with os.fdopen(reading, "rb") as lines:
        seen = lines.read().splitlines()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(set(seen)) == [b"a" * 200_000, b"b" * 200_000]
    assert len(seen) == 20


def test_long_lines_of_two_threads_do_not_mix() -> None:
    """A lock on a file is no obstacle to another thread of its process."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as guard, os.fdopen(writing, "w") as pipe:
        stream = share_stream(pipe, guard)

        def write(letter: str) -> None:
            outlet = Outlet(stream)
            for _ in range(10):
                outlet.say(f"{letter * 200_000}\n".encode())

        threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
        for thread in threads:
            thread.start()
        with os.fdopen(reading, "rb") as lines:
            seen = [lines.readline() for _ in range(20)]
        for thread in threads:
            thread.join()
    assert sorted(seen) == [f"{letter * 200_000}\n".encode() for letter in "ab" for _ in range(10)]


def test_what_is_written_waits_for_the_flush(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as guard, (tmp_path / "log").open("w") as file:
        stream = share_stream(file, guard)
        stream.write("one ")
        before = (tmp_path / "log").read_text()
        stream.write("line\n")
        stream.flush()
        assert (before, (tmp_path / "log").read_text()) == ("", "one line\n")
        assert not stream.isatty()


def test_each_line_names_its_worker(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as guard, (tmp_path / "log").open("w") as file:
        log = build_log(ObservabilityOptions(), clock=SystemClock(), stream=share_stream(file, guard), worker=3)
        log.info("ready")
    assert '"worker":3' in (tmp_path / "log").read_text()
