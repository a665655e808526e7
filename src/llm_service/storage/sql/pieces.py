"""Cutting a period into what the rollups can tell, and the edges for which the records themselves are asked."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple

from llm_service.storage.sql.moments import DAY, HOUR, micros

Source = Literal["records", "hours", "days"]

FOREVER: Final = DAY * 10_000_000
"""Beyond every moment that a record can have, and a whole day."""


class Piece(NamedTuple):
    """Where to ask about ``since <= at < until``, in microseconds."""

    source: Source
    since: int
    until: int


def pieces(since: datetime | None, until: datetime | None, *, coarsest: Source = "days") -> list[Piece]:
    """Pieces that cover the period, each moment once, from rollups no coarser than that."""
    start = -FOREVER if since is None else micros(since)
    end = FOREVER if until is None else micros(until)
    cut = list(_cut(start, end, coarsest))
    return [piece for piece in cut if piece.since < piece.until]


def _cut(start: int, end: int, coarsest: Source) -> Iterator[Piece]:
    if coarsest == "records":
        yield Piece("records", start, end)
        return
    finer: Source = "records" if coarsest == "hours" else "hours"
    span = HOUR if coarsest == "hours" else DAY
    first, last = -(-start // span) * span, end // span * span
    if first >= last:
        yield from _cut(start, end, finer)
        return
    yield from _cut(start, first, finer)
    yield Piece(coarsest, first, last)
    yield from _cut(last, end, finer)
