"""Records on their way to the database: the oldest in memory, and the rest, when there are many, in the journal."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from llm_service.ledger.entries import Closed, read
from llm_service.ledger.folder import pieces, segment_path
from llm_service.ledger.journal import Position
from llm_service.storage import LedgerRow

MOST_ROWS: Final = 4096
"""Rows that wait in memory, some 6 MiB; what comes when they are so many is read from the journal in its turn."""

PIECE_BYTES: Final = 1 << 20


class Backlog:
    """The rows of one journal that are not shipped, in the order of its chain."""

    def __init__(self, folder: Path, writer: str, *, most_rows: int = MOST_ROWS) -> None:
        self.last_seq = 0
        self.shipped_seq = 0
        self._folder = folder
        self._writer = writer
        self._most_rows = most_rows
        self._rows = deque[LedgerRow]()
        self._on_disk: Position | None = None

    def __len__(self) -> int:
        return self.last_seq - self.shipped_seq

    def add(self, row: LedgerRow, where: Callable[[], Position]) -> None:
        """A further row; ``where`` tells its place in the journal."""
        self.last_seq = row.link.seq
        if self._on_disk is None:
            if len(self._rows) < self._most_rows:
                self._rows.append(row)
            else:
                self._on_disk = where()

    async def oldest(self, count: int, *, end: Position) -> Sequence[LedgerRow]:
        """Up to so many of the oldest rows; the journal is written up to ``end``.

        Raises LookupError when somebody took the journal's files away.
        """
        if not self._rows and self._on_disk is not None:
            rows, self._on_disk = await asyncio.to_thread(self._read, self._on_disk, end)
            self._rows.extend(rows)
            if not rows:
                raise LookupError("records that were not shipped are gone from the journal's files")
            if rows[-1].link.seq == self.last_seq:
                self._on_disk = None
        return list(islice(self._rows, count))

    def shipped(self, count: int) -> None:
        """The oldest so many rows have arrived."""
        last = [self._rows.popleft() for _ in range(count)][-1]
        self.shipped_seq = last.link.seq

    def _read(self, start: Position, end: Position) -> tuple[list[LedgerRow], Position]:
        """The rows of the next piece that holds any, and where the piece after it begins."""
        number, offset = start
        while number <= end.segment:
            path = segment_path(self._folder, self._writer, number)
            stop = end.offset if number == end.segment else None
            there = path.exists()  # else all of it is shipped, and it was removed
            for begins, piece in pieces(path, start=offset, end=stop, piece_bytes=PIECE_BYTES) if there else ():
                found = [(entry, begins + after) for entry, after in read(piece, writer=self._writer)]
                rows = [LedgerRow(record=entry.record, link=entry.link) for entry, _ in found if type(entry) is Closed]
                if rows:
                    return rows, Position(number, found[-1][1])
            number, offset = number + 1, 0
        return [], end
