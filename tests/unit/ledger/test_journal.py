"""The journal: one write an entry, segments, room for those who are let in, and an owner that the kernel knows."""

import fcntl
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from llm_service.domain import Tried, Verdict
from llm_service.ledger import folder
from llm_service.ledger import journal as module
from llm_service.ledger.entries import Closed, Entry, Head, Opened, read
from llm_service.ledger.folder import segments_of, take, writers_in
from llm_service.ledger.journal import Journal
from llm_service.storage import storable
from tests.support.ledger_entries import a_record, an_intent

WRITER = "host.example-a1"
Begin = Callable[..., Journal]


def retire(fd: int, size: int) -> None:
    os.ftruncate(fd, size)
    os.close(fd)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    begun = list[Journal]()

    def create(writer: str = WRITER, *, segment_bytes: int = 8192) -> Journal:
        begun.append(Journal.create(tmp_path, writer, retire=retire, segment_bytes=segment_bytes))
        return begun[-1]

    yield create
    for journal in begun:
        if journal.fd >= 0:
            journal.finish(remove=False)


def entries(where: Path, writer: str = WRITER) -> list[Entry]:
    data = [path.read_bytes() for path in segments_of(where, writer).values()]
    return [entry for piece in data for entry, _ in read(piece, writer=writer)]


def kinds(where: Path) -> list[type]:
    return [type(entry) for entry in entries(where)]


def test_an_entry_can_be_read_as_soon_as_it_is_written(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    journal.open(an_intent(1))
    journal.close(a_record(1))
    assert kinds(tmp_path) == [Head, Opened, Closed]


def test_files_are_private_and_named_for_their_writer(begin: Begin, tmp_path: Path) -> None:
    begin()
    assert writers_in(tmp_path) == [WRITER]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_each_record_names_the_hash_of_the_one_before(begin: Begin) -> None:
    journal = begin()
    first, second = journal.close(a_record(1)), journal.close(a_record(2))
    assert (first.seq, second.seq) == (1, 2)
    assert second.previous == first.hash


def test_a_full_segment_is_followed_by_the_next(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    for number in range(40):
        journal.close(a_record(number))
    assert len(segments_of(tmp_path, WRITER)) == 4
    assert [entry.record for entry in entries(tmp_path) if isinstance(entry, Closed)] == [
        a_record(number) for number in range(40)
    ]


def test_a_segment_can_go_when_it_is_shipped_and_has_no_open_request(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    journal.open(an_intent(100))
    for number in range(40):
        journal.close(a_record(number))
    assert list(journal.shipped(0)) == []
    assert [path.name[-16:] for path in journal.shipped(40)] == ["00000002.journal", "00000003.journal"]
    journal.close(a_record(100))
    assert [path.name[-16:] for path in journal.shipped(41)] == ["00000001.journal"]


def test_a_second_intent_takes_the_place_of_the_first(begin: Begin) -> None:
    journal = begin()
    journal.open(an_intent(1))
    journal.open(an_intent(1, provider="openrouter"))
    assert journal.open_requests == 1
    for number in range(1, 40):
        journal.close(a_record(number))
    assert journal.open_requests == 0
    assert len(journal.shipped(39)) == 3


def test_nobody_takes_a_journal_whose_owner_lives(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    assert take(tmp_path, WRITER) is None
    with pytest.raises(FileExistsError):
        Journal.create(tmp_path, WRITER, retire=retire)
    journal.finish(remove=False)
    lock_fd = take(tmp_path, WRITER)
    assert lock_fd is not None
    os.close(lock_fd)


def test_an_owner_that_has_just_begun_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[int | None]()

    def lock(lock_fd: int, how: int) -> None:
        monkeypatch.undo()
        taken.extend(take(tmp_path, writer) for writer in writers_in(tmp_path))  # an adopter looks just now
        fcntl.flock(lock_fd, how)
        taken.extend(take(tmp_path, writer) for writer in writers_in(tmp_path))

    monkeypatch.setattr(folder.fcntl, "flock", lock)
    journal = Journal.create(tmp_path, WRITER, retire=retire)
    assert take(tmp_path, WRITER) is None
    assert taken == []
    journal.finish(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_its_owner_removes_meanwhile_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = list[int]()

    def lock(lock_fd: int, how: int) -> None:
        locks.append(lock_fd)
        if len(locks) == 1:
            (tmp_path / f"{WRITER}.lock").unlink()

    monkeypatch.setattr(folder.fcntl, "flock", lock)
    lock_fd = take(tmp_path, WRITER)
    assert lock_fd is not None
    assert os.fstat(lock_fd).st_nlink == 1
    assert len(locks) == 2
    os.close(lock_fd)


def test_a_finished_journal_leaves_nothing_or_everything(begin: Begin, tmp_path: Path) -> None:
    begin("a").finish(remove=True)
    assert list(tmp_path.iterdir()) == []
    begin("b").finish(remove=False)
    assert writers_in(tmp_path) == ["b"]
    (path,) = segments_of(tmp_path, "b").values()
    assert path.read_bytes().endswith(b"}\n")  # the space that was laid by is given back


def test_nothing_is_written_after_the_end(begin: Begin) -> None:
    journal = begin()
    journal.finish(remove=False)
    with pytest.raises(OSError, match="Bad file descriptor"):
        journal.open(an_intent())


class FullDisk:
    """A disk that has room for so many bytes in one file; as os, but for the two calls that need room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self.reserved = 0
        self._pwrite = os.pwrite
        self._fallocate = os.posix_fallocate
        monkeypatch.setattr(module.os, "pwrite", self.pwrite)
        monkeypatch.setattr(module.os, "posix_fallocate", self.fallocate)

    def fallocate(self, fd: int, start: int, length: int) -> None:
        if start + length > self.room:
            raise OSError(28, "No space left on device")
        self._fallocate(fd, start, length)
        self.reserved = max(self.reserved, start + length)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        room = max(self.room, self.reserved) - offset
        if room <= 0:
            raise OSError(28, "No space left on device")
        return self._pwrite(fd, data[:room], offset)


def until_full(write: Callable[[int], object]) -> int:
    """How often it could be written."""
    for number in count():
        try:
            write(number)
        except OSError:
            return number
    raise AssertionError("it is never full")


def test_whoever_is_let_in_can_close_on_a_full_disk(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP_BYTES", 4096)
    many = (Tried(provider="p" * 99, upstream_model="m" * 99, error_code="upstream_error", nano_usd=2**46),) * 99
    found = (Verdict(filter="f" * 64, type="secrets", on="input", action="mask", labels=("l" * 32,) * 8),) * 99
    FullDisk(monkeypatch, 250_000)
    journal = begin(segment_bytes=1 << 20)
    opened = until_full(lambda number: journal.open(an_intent(number)))
    until_full(lambda number: journal.close(a_record(5000 + number)))  # a hit must not take the room of others
    for number in range(opened):
        record = a_record(
            number, upstream_id="g" * 64, error_code="upstream_invalid_response", tries=many, verdicts=found
        )
        journal.close(storable(record))
    assert opened > 50
    assert journal.open_requests == 0
    closed = [entry.record.request_id for entry in entries(tmp_path) if isinstance(entry, Closed)]
    assert set(closed) >= {an_intent(number).request_id for number in range(opened)}


def test_a_failed_write_leaves_no_trace(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begin()
    journal.close(a_record(1))
    tip = journal.tip
    whole = module.os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "pwrite", lambda fd, data, offset: whole(fd, data[:100], offset))
        with pytest.raises(OSError, match="No space left"):
            journal.close(a_record(2))
    assert journal.tip == tip
    assert kinds(tmp_path) == [Head, Closed]
    journal.close(a_record(3, tags={}, user=None, stream_id=None))
    assert [entry.record.output_tokens for entry in entries(tmp_path) if isinstance(entry, Closed)] == [1, 3]


def test_where_no_room_can_be_laid_by_a_partial_write_is_cut_off(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(module.os, "posix_fallocate")
    journal = begin()
    size = journal.position.offset
    whole = module.os.pwrite
    monkeypatch.setattr(module.os, "pwrite", lambda fd, data, offset: whole(fd, data[:100], offset))
    with pytest.raises(OSError, match="No space left"):
        journal.open(an_intent())
    assert [path.stat().st_size for path in segments_of(tmp_path, WRITER).values()] == [size]


def test_a_segment_grows_when_the_next_one_has_no_room(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begin()
    monkeypatch.setattr(module, "create", lambda path: os.open("/nowhere/at/all", os.O_RDWR))
    for number in range(40):
        journal.close(a_record(number))
    assert len(segments_of(tmp_path, WRITER)) == 1
    assert len(entries(tmp_path)) == 41
