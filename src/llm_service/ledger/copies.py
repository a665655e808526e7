"""Copies of the journals beside the processes that write them, for a backup."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from llm_service.domain import fact
from llm_service.ledger.entries import Closed, Head, Opened, read
from llm_service.ledger.folder import segments_of, writers_in


@fact
class JournalCopy:
    """A segment up to one moment, and the requests that it opens and closes."""

    name: str
    data: bytes
    opened: frozenset[str]
    closed: frozenset[str]


def journal_copies(folder: Path) -> Iterator[JournalCopy]:
    """Every segment that says anything, each writer's in their order. Blocks.

    What is in no copy of these was in the database already, or was written after this began: a segment is removed when
    the database has its records, so whoever copies the database afterwards has them all.
    """
    if not folder.is_dir():
        return
    for writer in writers_in(folder):
        for path in segments_of(folder, writer).values():
            with suppress(FileNotFoundError):
                copy = _copy(path, writer)
                if copy.opened or copy.closed:
                    yield copy


def _copy(path: Path, writer: str) -> JournalCopy:
    """Read twice: its writer goes on, so the first look may see an entry and not yet the one before it."""
    end = path.read_bytes().rfind(b"\n") + 1
    data = path.read_bytes()[:end]
    opened, closed = set[str](), set[str]()
    for entry, _ in read(data, writer=writer):
        match entry:
            case Opened(intent=intent):
                opened.add(intent.request_id)
            case Closed(record=record):
                closed.add(record.request_id)
            case Head():
                pass
    return JournalCopy(name=path.name, data=data, opened=frozenset(opened), closed=frozenset(closed))
