"""Records that an index finds piece by piece of the ledger, the newest piece first."""

from collections.abc import Sequence
from typing import Final

from llm_service.storage.ports import UsageFilter
from llm_service.storage.sql.base import LONG_S, Driver, Row, Values
from llm_service.storage.sql.conditions import conditions
from llm_service.storage.sql.pieces import FOREVER

PIECE_MARKS: Final = 1024
"""Marks that make one piece: the number stands in the indexes (schema 9). A look-up in one piece takes 2 µs."""
WIDER: Final = 4
"""As many pieces more are looked at in one go each time that the ones before did not have enough."""

_ENDS: Final = "SELECT (SELECT MIN(mark) FROM ledger) AS oldest, (SELECT MAX(mark) FROM ledger) AS newest"
ALL_PIECES: Final = f"""pieces (piece) AS (
    SELECT MIN(mark) / {PIECE_MARKS} FROM ledger
    UNION ALL
    SELECT piece + 1 FROM pieces WHERE piece < (SELECT MAX(mark) / {PIECE_MARKS} FROM ledger)
)"""  # noqa: S608 - a constant
"""For WITH RECURSIVE."""
IN_PIECE: Final = f"ledger.mark / {PIECE_MARKS} = pieces.piece"
_PAGE: Final = f"""
    WITH RECURSIVE pieces (piece) AS (
        SELECT CAST(:first_piece AS BIGINT) + 0
        UNION ALL
        SELECT piece + 1 FROM pieces WHERE piece < :last_piece
    )
    SELECT * FROM ledger
    WHERE mark IN (SELECT ledger.mark FROM pieces CROSS JOIN ledger WHERE {IN_PIECE} AND mark < :after AND """  # noqa: S608
# To add zero takes away the type that a cast gives: SQLite compares no typed column with an index on an expression.


async def page(driver: Driver, which: UsageFilter, *, after: int | None, count: int) -> Sequence[Row]:
    """Records that a filter lets through, newest first."""
    where, values = conditions(which)
    before = FOREVER if after is None else after
    if which.key_id is not None or which.key_ids is not None or which.user is not None:
        return await _newest_by_pieces(driver, by_pieces(which), values, before=before, count=count)
    statement = f"SELECT * FROM ledger WHERE {where} AND mark < :after ORDER BY mark DESC LIMIT :count"  # noqa: S608
    return await driver.rows(statement, {**values, "after": before, "count": count}, timeout_s=LONG_S)


def by_pieces(which: UsageFilter) -> str:
    """The statement for records of keys, or of a user: marks come from an index, the rest is asked of the records."""
    indexed = UsageFilter(key_id=which.key_id, key_ids=which.key_ids)
    if indexed == UsageFilter():
        indexed = UsageFilter(user=which.user)
    return f"{_PAGE}{conditions(indexed)[0]}) AND {conditions(which)[0]} ORDER BY mark DESC LIMIT :count"


async def _newest_by_pieces(
    driver: Driver, statement: str, values: Values, *, before: int, count: int
) -> Sequence[Row]:
    """Few pieces are looked at where somebody has been at work lately, and more at a time the longer ago that was.

    No transaction holds the steps together: what comes on the way has marks beyond all that is looked at.
    """
    (ends,) = await driver.rows(_ENDS)
    if ends["newest"] is None:
        return ()
    first_piece = int(ends["oldest"]) // PIECE_MARKS
    last_piece = min(int(ends["newest"]), before - 1) // PIECE_MARKS
    found, width = list[Row](), 1
    while len(found) < count and last_piece >= first_piece:
        begin = max(first_piece, last_piece - width + 1)
        place: Values = {"first_piece": begin, "last_piece": last_piece, "after": before, "count": count - len(found)}
        found += await driver.rows(statement, {**values, **place}, timeout_s=LONG_S)
        last_piece, width = begin - 1, width * WIDER
    return found
