"""Copies of journals beside their writers: what was written before the look is in them, without a gap."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_service.ledger.copies import journal_copies
from llm_service.ledger.entries import Closed, read
from llm_service.ledger.folder import make_folder, segment_path
from llm_service.ledger.journal import Journal
from tests.support.ledger_entries import a_record, an_intent

WRITER = "host-a1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_folder(tmp_path / "journal")
    return tmp_path / "journal"


def closing(fd: int, size: int) -> None:
    os.ftruncate(fd, size)
    os.close(fd)


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal.create(folder, WRITER, retire=closing, segment_bytes=4096)
    yield journal
    if journal.fd >= 0:
        journal.leave()


def numbers(data: bytes) -> list[int]:
    return [entry.link.seq for entry, _ in read(data, writer=WRITER) if isinstance(entry, Closed)]


def test_a_living_writers_entries_are_copied_and_the_room_behind_them_is_not(folder: Path, journal: Journal) -> None:
    journal.open(an_intent(1))
    journal.close(a_record(1))
    journal.open(an_intent(2))
    (copy,) = journal_copies(folder)
    assert copy.name == segment_path(folder, WRITER, 1).name
    assert (copy.opened, copy.closed) == ({"req_00000001", "req_00000002"}, {"req_00000001"})
    assert copy.data.endswith(b"}\n")
    assert len(copy.data) < (folder / copy.name).stat().st_size


def test_segments_come_in_their_order(folder: Path, journal: Journal) -> None:
    for number in range(1, 30):
        journal.close(a_record(number))
    copies = [*journal_copies(folder)]
    assert len(copies) > 2
    assert [seq for copy in copies for seq in numbers(copy.data)] == [*range(1, 30)]


def test_who_has_written_nothing_yet_needs_no_copy(folder: Path, journal: Journal) -> None:
    assert [*journal_copies(folder)] == []
    assert [*journal_copies(folder / "none")] == []


def test_what_goes_away_meanwhile_is_in_the_database(folder: Path, journal: Journal) -> None:
    for number in range(1, 30):
        journal.close(a_record(number))
    copies = journal_copies(folder)
    first = next(copies)
    segment_path(folder, WRITER, 2).unlink()
    assert numbers(first.data)[0] == 1
    assert next(copy.name for copy in copies) == segment_path(folder, WRITER, 3).name


def test_an_entry_is_never_there_without_the_one_before_it(
    folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that goes from the front to the back sees what was written behind it, and not what was before it."""
    for number in range(1, 4):
        journal.close(a_record(number))
    whole = segment_path(folder, WRITER, 1).read_bytes()
    second, third = (whole.index(b'"seq":%d' % number) for number in (2, 3))
    second, third = (whole.rindex(b"\n", 0, place) + 1 for place in (second, third))
    torn = whole[:second] + bytes(third - second) + whole[third:]
    assert numbers(torn) == [1, 3]
    looks = iter([torn, whole])
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(looks))
    (copy,) = journal_copies(folder)
    assert numbers(copy.data) == [1, 2, 3]
