"""Alerts in SQL: the lease with the state, what happened, silences."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from llm_service.storage.ports import AlertEntry, AlertLease, SilenceRow
from llm_service.storage.sql.base import Driver, Row, Session, Value, Values
from llm_service.storage.sql.moments import micros, moment
from llm_service.storage.sql.pieces import FOREVER

_READ: Final = "SELECT holder, until, version, state FROM alert_lease"
_TAKE: Final = """
    UPDATE alert_lease SET holder = :holder, until = :until WHERE holder = :holder OR until <= :now
    RETURNING holder, until, version, state
"""
_RELEASE: Final = "UPDATE alert_lease SET until = :now WHERE holder = :holder AND until > :now"
_SAVE: Final = """
    UPDATE alert_lease SET state = :state, version = version + 1 WHERE holder = :holder AND version = :version
    RETURNING version
"""
_NEXT_MARKS: Final = "UPDATE marks SET newest = newest + :count WHERE name = 'alerts' RETURNING newest"
_INSERT: Final = "INSERT INTO alert_entries (mark, rule, at, body) VALUES (:mark, :rule, :at, :body)"
_PAGE: Final = "SELECT * FROM alert_entries WHERE mark < :after ORDER BY mark DESC LIMIT :count"
_PAGE_OF_RULE: Final = """
    SELECT * FROM alert_entries WHERE rule = :rule AND mark < :after ORDER BY mark DESC LIMIT :count
"""
_SILENCES: Final = "SELECT id, until, body FROM alert_silences WHERE until > :after ORDER BY until, id"
_PUT_SILENCE: Final = """
    INSERT INTO alert_silences (id, until, body) VALUES (:id, :until, :body)
    ON CONFLICT (id) DO UPDATE SET until = excluded.until, body = excluded.body
"""
_PRUNE: Final = "DELETE FROM alert_entries WHERE at < :before RETURNING mark"
_PRUNE_SILENCES: Final = "DELETE FROM alert_silences WHERE until < :before RETURNING id"


class SqlAlerts:
    """The port AlertStore on either engine. The lease is one row: who changes it waits for the other's commit."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def take(self, holder: str, *, now: datetime, until: datetime) -> AlertLease:
        values: dict[str, Value] = {"holder": holder, "now": micros(now), "until": micros(until)}

        async def work(session: Session) -> AlertLease:
            rows = await session.rows(_TAKE, values) or await session.rows(_READ)
            return _lease(rows[0])

        return await self._driver.write(work)

    async def release(self, holder: str, *, now: datetime) -> None:
        await self._write(_RELEASE, {"holder": holder, "now": micros(now)})

    async def lease(self) -> AlertLease:
        return _lease((await self._driver.rows(_READ))[0])

    async def save(self, holder: str, *, version: int, state: str, entries: Sequence[AlertEntry]) -> bool:
        values: dict[str, Value] = {"holder": holder, "version": version, "state": state}

        async def work(session: Session) -> bool:
            if not await session.rows(_SAVE, values):
                return False
            await _append(session, entries)
            return True

        return await self._driver.write(work)

    async def append(self, entries: Sequence[AlertEntry]) -> None:
        async def work(session: Session) -> None:
            await _append(session, entries)

        await self._driver.write(work)

    async def history(self, *, rule: str | None, after: int | None, count: int) -> Sequence[AlertEntry]:
        place: dict[str, Value] = {"after": FOREVER if after is None else after, "count": count}
        if rule is None:
            rows = await self._driver.rows(_PAGE, place)
        else:
            rows = await self._driver.rows(_PAGE_OF_RULE, {**place, "rule": rule})
        return [AlertEntry(rule=row["rule"], at=moment(row["at"]), body=row["body"], mark=row["mark"]) for row in rows]

    async def silences(self, *, ending_after: datetime | None = None) -> Sequence[SilenceRow]:
        rows = await self._driver.rows(_SILENCES, {"after": -1 if ending_after is None else micros(ending_after)})
        return [SilenceRow(id=row["id"], until=moment(row["until"]), body=row["body"]) for row in rows]

    async def put_silence(self, silence: SilenceRow) -> None:
        await self._write(_PUT_SILENCE, {"id": silence.id, "until": micros(silence.until), "body": silence.body})

    async def prune(self, *, before: datetime) -> int:
        values: Values = {"before": micros(before)}

        async def work(session: Session) -> int:
            return len(await session.rows(_PRUNE, values)) + len(await session.rows(_PRUNE_SILENCES, values))

        return await self._driver.write(work)

    async def _write(self, statement: str, values: Values) -> Sequence[Row]:
        async def work(session: Session) -> Sequence[Row]:
            return await session.rows(statement, values)

        return await self._driver.write(work)


async def _append(session: Session, entries: Sequence[AlertEntry]) -> None:
    if not entries:
        return
    newest = int((await session.rows(_NEXT_MARKS, {"count": len(entries)}))[0]["newest"])
    first = newest - len(entries) + 1
    rows = [(mark, entry.rule, micros(entry.at), entry.body) for mark, entry in enumerate(entries, first)]
    await session.many(_INSERT, rows)


def _lease(row: Row) -> AlertLease:
    return AlertLease(holder=row["holder"], until=moment(row["until"]), version=row["version"], state=row["state"])
