"""Removing the sums of hours that nobody asks for any more: those of their days tell the rest."""

from datetime import datetime
from typing import Final

from llm_service.storage.sql.base import LONG_S, Driver, Session
from llm_service.storage.sql.moments import DAY, HOUR, micros

TABLES: Final = ("rollups", "tag_rollups", "spendings")
_LOCK: Final = "UPDATE marks SET newest = newest WHERE name = 'ledger' RETURNING newest"
_OLDEST: Final = "SELECT MIN(start) AS start FROM {table} WHERE span = {span} AND start < :before"
_REMOVE: Final = "DELETE FROM {table} WHERE span = {span} AND start = :start RETURNING start"


async def remove_hours(driver: Driver, *, before: datetime) -> int:
    """Removes the sums of the hours of days that are over by then; how many rows. An hour is a transaction."""
    day = micros(before) // DAY * DAY
    return sum([await _remove_from(driver, table, before=day) for table in TABLES])


async def _remove_from(driver: Driver, table: str, *, before: int) -> int:
    oldest, remove = (statement.format(table=table, span=HOUR) for statement in (_OLDEST, _REMOVE))

    async def work(session: Session) -> int:
        await session.rows(_LOCK)  # records append to these rows in their own order
        start = (await session.rows(oldest, {"before": before}))[0]["start"]
        return 0 if start is None else len(await session.rows(remove, {"start": int(start)}))

    removed = 0
    while some := await driver.write(work, timeout_s=LONG_S):
        removed += some
    return removed
