"""Removing the sums of hours that nobody asks for any more: those of their days tell the rest."""

from datetime import datetime
from typing import Final

from llm_service.storage.sql.base import LONG_S, Driver, Session
from llm_service.storage.sql.marks import LOCK_LEDGER
from llm_service.storage.sql.moments import DAY, HOUR, micros
from llm_service.storage.sql.pieces import FOREVER

TABLES: Final = ("rollups", "tag_rollups", "spendings")
_NEXT: Final = """
    SELECT MIN(start) AS start FROM {table} WHERE span = {span} AND start > :after AND start < :before
"""
_REMOVE: Final = "DELETE FROM {table} WHERE span = {span} AND start = :start RETURNING start"


async def remove_hours(driver: Driver, *, before: datetime) -> int:
    """Removes the sums of the hours of days that are over by then; how many rows. An hour is a transaction."""
    day = micros(before) // DAY * DAY
    return sum([await _remove_from(driver, table, before=day) for table in TABLES])


async def _remove_from(driver: Driver, table: str, *, before: int) -> int:
    following, remove = (statement.format(table=table, span=HOUR) for statement in (_NEXT, _REMOVE))

    async def work(session: Session) -> tuple[int, int] | None:
        """The next hour, and how many rows it had; ``None`` behind the last one."""
        await session.rows(LOCK_LEDGER)  # records append to these rows in their own order
        start = (await session.rows(following, {"after": after, "before": before}))[0]["start"]
        return None if start is None else (start, len(await session.rows(remove, {"start": start})))

    # Each look begins behind the last hour: PostgreSQL's index has what was removed until a vacuum, and walks over it.
    after, removed = -FOREVER, 0
    while (found := await driver.write(work, timeout_s=LONG_S)) is not None:
        after, rows = found
        removed += rows
    return removed
