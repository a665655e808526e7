"""Log files that several processes write to: bounded, every line whole and there once, full disks survived."""

import errno
import gzip
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pytest

from llm_service.observability import Log, ObservabilityOptions, build_log, open_log_file
from llm_service.observability.log_archive import AGAIN_AFTER, LogArchive
from tests.support.clock import ManualClock

WRITER = """
import sys, threading
from pathlib import Path
from llm_service.observability import ObservabilityOptions, build_log, open_log_file
from llm_service.runtime import SystemClock
worker, clock = int(sys.argv[2]), SystemClock()
options = ObservabilityOptions(log_file=Path(sys.argv[1]), log_max_bytes=8192, log_keep=1000)
log = build_log(options, clock=clock, stream=open_log_file(options, clock=clock, worker=worker), worker=worker)
for number in range(500):
    log.info("line", number=number, text="x" * (number % 300))
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
"""


class Written:
    """A log that goes to a file."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.path = folder / "service.log"
        self.clock = ManualClock()
        usual = {"log_max_bytes": 4096, "log_compress": False}
        self.options = ObservabilityOptions(log_file=self.path, **{**usual, **options})
        self.log = self.open()

    def open(self) -> Log:
        stream = open_log_file(self.options, clock=self.clock)
        return build_log(self.options, clock=self.clock, stream=stream)

    def fill(self, lines: int = 30) -> None:
        """About a file and a bit."""
        for _ in range(lines):
            self.log.info("line", text="x" * 100)

    @property
    def aside(self) -> list[str]:
        return sorted(one.name for one in self.path.parent.iterdir() if one != self.path)

    def lines(self, name: str = "service.log") -> list[dict[str, Any]]:
        raw = (self.path.parent / name).read_bytes()
        return [orjson.loads(line) for line in (gzip.decompress(raw) if name.endswith(".gz") else raw).splitlines()]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def joined() -> None:
    """Wait for the threads that compress."""
    for thread in threading.enumerate():
        if thread.name == "log archive":
            thread.join()


def test_a_file_stays_within_its_bound_and_what_is_put_aside_has_the_moments_name(written: Written) -> None:
    written.fill(100)
    assert written.aside[0] == "service.log.20261123T001640000Z"
    assert written.aside[1] == "service.log.20261123T001640000Z-1"
    assert all(one.stat().st_size <= 4096 for one in written.path.parent.iterdir())
    assert sum(len(written.lines(name)) for name in ("service.log", *written.aside)) == 100


def test_only_the_newest_are_kept_whatever_their_numbers_and_compression(tmp_path: Path) -> None:
    written = Written(tmp_path, log_keep=2, log_compress=True)
    (tmp_path / "service.log.1").write_text("not ours")
    for _ in range(4):
        written.fill(40)
        joined()
    written.clock.advance(1)
    written.fill(60)
    joined()
    ours = [name for name in written.aside if name != "service.log.1"]
    assert len(ours) == 2
    assert all(name.endswith(".gz") for name in ours)
    assert ours[-1].startswith("service.log.20261123T001641000Z")
    assert len(written.lines(ours[0])) > 10


def test_nothing_is_kept_where_nothing_is_to_be(tmp_path: Path) -> None:
    written = Written(tmp_path, log_keep=0)
    written.fill(100)
    assert written.aside == []


def test_what_a_process_that_ended_left_behind_is_compressed_by_the_next(tmp_path: Path) -> None:
    Written(tmp_path).fill(60)
    left = Written(tmp_path, log_compress=True)
    joined()
    assert left.aside
    assert all(name.endswith(".gz") for name in left.aside)


def test_lines_that_come_together_fill_one_file_after_the_other(written: Written) -> None:
    stream = open_log_file(written.options, clock=written.clock)
    for number in range(1000):
        stream.buffer.write(b'{"n":%d,"text":"%b"}\n' % (number, b"x" * 100))
    stream.flush()
    assert max(one.stat().st_size for one in written.path.parent.iterdir()) <= 4096
    told = sorted(line["n"] for name in ("service.log", *written.aside) for line in written.lines(name))
    assert told == list(range(1000))[-len(told) :]
    assert len(told) > 5 * 20


def test_what_is_put_aside_later_is_the_newer_also_when_the_clock_was_put_back(written: Written) -> None:
    written.fill(30)
    written.clock.set_back(3600)
    written.fill(20)
    assert written.aside == ["service.log.20261123T001640000Z", "service.log.20261123T001640000Z-1"]


def test_a_line_longer_than_the_bound_is_written_all_the_same(written: Written) -> None:
    written.log.info("long", text="x" * 10_000)
    written.log.info("short")
    assert [line["event"] for line in written.lines()] == ["short"]
    assert [line["event"] for line in written.lines(written.aside[0])] == ["long"]


@pytest.mark.parametrize("remove", [False, True])
def test_a_file_that_was_renamed_or_removed_is_begun_anew(written: Written, *, remove: bool) -> None:
    written.log.info("before")
    if remove:
        written.path.unlink()
    else:
        written.path.rename(written.path.with_suffix(".old"))
    written.log.info("after")
    assert [line["event"] for line in written.lines()] == ["after"]
    if not remove:
        assert [line["event"] for line in written.lines("service.old")] == ["before"]


def test_several_processes_lose_and_tear_no_line_while_files_are_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)], env=environment) for number in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    told = [
        orjson.loads(line)
        for one in tmp_path.iterdir()
        for line in (gzip.decompress(one.read_bytes()) if one.suffix == ".gz" else one.read_bytes()).splitlines()
    ]
    assert sorted((line["worker"], line["number"]) for line in told) == [(w, n) for w in range(4) for n in range(500)]
    assert len([*tmp_path.iterdir()]) > 10


# -- a disk that is full


class FullDisk:
    """``os.write`` of a disk with so much room."""

    def __init__(self) -> None:
        self.room = 10**9
        self._write = os.write

    def write(self, fd: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = self._write(fd, bytes(data)[: self.room])
        self.room -= done
        return done


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    disk = FullDisk()
    monkeypatch.setattr(os, "write", disk.write)
    return disk


def test_a_full_disk_costs_lines_which_are_counted_and_told(written: Written, disk: FullDisk) -> None:
    written.log.info("one")
    disk.room = 10  # of the next line a part
    for _ in range(3):
        written.log.info("lost")
    disk.room = 10**9
    written.log.info("two")
    lines = written.lines()
    assert [line["event"] for line in lines] == ["one", "log lines were lost", "two"]
    assert (lines[1]["level"], lines[1]["lines"], lines[1]["pid"]) == ("warning", 3, os.getpid())


def test_of_lines_that_are_written_together_those_that_fit_are_kept(written: Written, disk: FullDisk) -> None:
    stream = open_log_file(written.options, clock=written.clock)
    disk.room = 25
    stream.buffer.write(b'{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n')
    stream.flush()
    disk.room = 10**9
    stream.write('{"n":5}\n')
    stream.flush()
    assert [line.get("n", line.get("lines")) for line in written.lines()] == [1, 2, 3, 1, 5]


def test_a_folder_that_is_gone_costs_lines_and_no_exception(written: Written) -> None:
    folder, away = written.path.parent, written.path.parent.with_name("away")
    folder.rename(away)
    written.log.info("lost")
    away.rename(folder)
    written.log.info("back")
    assert [line["event"] for line in written.lines()] == ["log lines were lost", "back"]


def test_a_file_that_cannot_be_put_aside_grows_and_says_why_once_in_a_while(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    written.fill(60)
    told = [line for line in written.lines() if line["event"] == "a log file was not put aside"]
    assert ([line["cause"] for line in told], len(written.lines())) == (["Permission denied"], 61)
    monkeypatch.undo()
    written.fill(10)
    assert written.aside == []
    written.clock.advance(AGAIN_AFTER.total_seconds())
    written.fill(1)
    assert len(written.aside) == 1


def test_what_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    clock = ManualClock()
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "none" / "service.log", tmp_path / "fifo", Path(os.devnull)):
        with pytest.raises(OSError, match=r"\w"):
            open_log_file(ObservabilityOptions(log_file=path), clock=clock)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[LogArchive]:
    yield LogArchive(tmp_path / "service.log", keep=5, compress=True, now=ManualClock().now)
    joined()


def test_a_copy_is_never_open_to_more_people_than_the_file(
    tmp_path: Path, archive: LogArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []

    def copied(_: object, to: gzip.GzipFile, __: int) -> None:
        modes.append(os.fstat(to.fileno()).st_mode & 0o777)

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    before = os.umask(0o022)
    (tmp_path / "service.log.20261122T000000000Z").touch(0o640)
    archive.tidy()
    joined()
    os.umask(before)
    assert modes == [0o600]


def test_a_file_that_is_one_too_many_while_it_is_compressed_is_gone_and_the_others_are_done(
    tmp_path: Path, archive: LogArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (tmp_path / f"service.log.{stamp}" for stamp in ("20261122T000000000Z", "20261122T000000001Z"))
    first.write_bytes(b"old\n")
    second.write_bytes(b"new\n")
    copy = shutil.copyfileobj

    def copied(of: BinaryIO, to: gzip.GzipFile, size: int) -> None:
        copy(of, to, size)
        first.unlink(missing_ok=True)

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    archive.tidy()
    joined()
    assert [one.name for one in tmp_path.iterdir()] == [f"{second.name}.gz"]
    assert archive.take_trouble() is None


def test_a_copy_that_was_not_finished_is_made_again(tmp_path: Path, archive: LogArchive) -> None:
    """The process that made it was killed: before the copy was whole, or before the file was removed."""
    for name, beside in (("20261122T000000000Z", ".gz.part"), ("20261122T000000001Z", ".gz")):
        (tmp_path / f"service.log.{name}").write_bytes(b"whole\n")
        (tmp_path / f"service.log.{name}{beside}").write_bytes(b"half")
    archive.tidy()
    joined()
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["service.log.20261122T000000000Z.gz", "service.log.20261122T000000001Z.gz"]
    assert [gzip.decompress((tmp_path / name).read_bytes()) for name in names] == [b"whole\n"] * 2
