"""Samples of the figures of all machines in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from llm_service.storage.ports import Sample
from llm_service.storage.sql.base import LONG_S, Driver, Session, Value
from llm_service.storage.sql.moments import micros, moment

_SLOT: Final = 300_000_000
"""Five minutes: of the samples of a machine in each, the first one is lasting."""
# Without its WHERE, SQLite takes the ON for one of a join (sqlite.org/lang_upsert.html).
_ADD: Final = """
    INSERT INTO samples (machine, at, lasting, body)
    SELECT :machine, CAST(:at AS BIGINT), CASE WHEN EXISTS (
        SELECT 1 FROM samples WHERE machine = :machine AND at >= :slot AND at < :next_slot
    ) THEN 0 ELSE 1 END, :body
    WHERE true
    ON CONFLICT (machine, at) DO NOTHING
"""
_SINCE: Final = "SELECT machine, at, body FROM samples WHERE at >= :since ORDER BY at, machine"
_LASTING_SINCE: Final = "SELECT machine, at, body FROM samples WHERE at >= :since AND lasting = 1 ORDER BY at, machine"
_PRUNE: Final = """
    DELETE FROM samples WHERE at < :all_before OR (at < :before AND lasting = 0) RETURNING at
"""


class SqlSamples:
    """The port SampleStore on either engine."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def add(self, sample: Sample) -> None:
        at = micros(sample.at)
        slot = at - at % _SLOT
        values: dict[str, Value] = {"machine": sample.machine, "at": at, "slot": slot, "next_slot": slot + _SLOT}

        async def work(session: Session) -> None:
            await session.rows(_ADD, {**values, "body": sample.body})

        await self._driver.write(work)

    async def since(self, since: datetime, *, lasting: bool = False) -> Sequence[Sample]:
        statement = _LASTING_SINCE if lasting else _SINCE
        rows = await self._driver.rows(statement, {"since": micros(since)}, timeout_s=LONG_S)
        return [Sample(machine=row["machine"], at=moment(row["at"]), body=row["body"]) for row in rows]

    async def prune(self, *, before: datetime, all_before: datetime) -> int:
        values: dict[str, Value] = {"before": micros(before), "all_before": micros(all_before)}

        async def work(session: Session) -> int:
            return len(await session.rows(_PRUNE, values))

        return await self._driver.write(work, timeout_s=LONG_S)
