"""The ledger in SQL: appended by one process after the other, never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from llm_service.domain import LimitScope
from llm_service.storage.ports import LedgerRow, Seal, UsageFilter, UsageGroup, UsageSum
from llm_service.storage.sql.base import LONG_S, Driver, Session, Value, Values
from llm_service.storage.sql.conditions import HIT, conditions
from llm_service.storage.sql.moments import micros
from llm_service.storage.sql.pieces import FOREVER
from llm_service.storage.sql.rollups import grow
from llm_service.storage.sql.rows import columns, ledger_row, storable
from llm_service.storage.sql.seals import keep_seal, remove_sealed, seals_of
from llm_service.storage.sql.spendings import grow_spendings, spent
from llm_service.storage.sql.sums import sums

_COLUMNS: Final = (
    "mark, request_id, writer, seq, previous, hash, stream_id, at, key_id, user_name, tags, surface, model, provider, "
    "upstream_model, upstream_id, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, nano_usd, "
    "cost_source, status, error_code, cache, cache_key, saved_nano_usd, attempts, tries, "
    "wasted_nano_usd, queue_ms, first_chunk_ms, duration_ms, overhead_ms, price_date, adjusts, verdicts"
)
_INSERT: Final = f"INSERT INTO ledger ({_COLUMNS}) VALUES (:{_COLUMNS.replace(', ', ', :')})"  # noqa: S608
_INSERT_TAG: Final = "INSERT INTO ledger_tags (mark, tag_name, tag_value) VALUES (:mark, :tag_name, :tag_value)"
_LOCK: Final = "UPDATE marks SET newest = newest WHERE name = 'ledger' RETURNING newest"
_ADVANCE: Final = "UPDATE marks SET newest = :newest WHERE name = 'ledger'"
_KNOWN: Final = "SELECT request_id, mark FROM ledger WHERE request_id = ANY(:ids)"
_FIND: Final = """
    WITH named AS (
        SELECT request_id FROM ledger WHERE request_id = :id
        UNION SELECT request_id FROM ledger WHERE upstream_id = :id
    )
    SELECT * FROM ledger WHERE mark IN (
        SELECT mark FROM ledger JOIN named ON named.request_id = ledger.request_id
        UNION SELECT mark FROM ledger JOIN named ON named.request_id = ledger.adjusts
    ) ORDER BY mark
"""
_CHAIN: Final = "SELECT * FROM ledger WHERE writer = :writer AND seq > :after_seq ORDER BY seq LIMIT :count"
_WRITERS: Final = """
    WITH RECURSIVE found (writer) AS (
        SELECT MIN(writer) FROM ledger
        UNION ALL
        SELECT (SELECT MIN(ledger.writer) FROM ledger WHERE ledger.writer > found.writer)
        FROM found WHERE found.writer IS NOT NULL
    )
    SELECT writer FROM found WHERE writer IS NOT NULL UNION SELECT writer FROM seals
"""
_ESTIMATES: Final = f"""
    SELECT * FROM ledger
    WHERE provider = :provider AND cost_source IN ('estimate', 'none') AND at >= :since AND upstream_id IS NOT NULL
        AND (cost_source = 'estimate' OR input_tokens + output_tokens > 0) AND adjusts IS NULL
        AND NOT {HIT} AND NOT EXISTS (SELECT 1 FROM ledger correction WHERE correction.adjusts = ledger.request_id)
    ORDER BY mark LIMIT :count
"""  # noqa: S608 - a constant; what the cache gave was billed to whoever it was made for


class SqlLedger:
    """The port LedgerStore on either engine. What cannot be kept as it is, is kept as ``storable`` makes it."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def append(self, rows: Sequence[LedgerRow]) -> Sequence[int]:
        """Raises Conflict when a writer's place in its chain has another record already."""
        if not rows:
            return ()

        async def work(session: Session) -> Sequence[int]:
            return await _append(session, rows)

        return await self._driver.write(work)

    async def known(self, request_ids: Sequence[str]) -> frozenset[str]:
        found = await self._driver.rows(_KNOWN, {"ids": request_ids}) if request_ids else ()
        return frozenset(row["request_id"] for row in found)

    async def find(self, request_id: str) -> Sequence[LedgerRow]:
        if "\0" in request_id:
            return ()
        return [ledger_row(row) for row in await self._driver.rows(_FIND, {"id": request_id})]

    async def page(self, which: UsageFilter, *, after: int | None, count: int) -> Sequence[LedgerRow]:
        where, values = conditions(which)
        statement = f"SELECT * FROM ledger WHERE {where} AND mark < :after ORDER BY mark DESC LIMIT :count"  # noqa: S608
        place: dict[str, Value] = {"after": FOREVER if after is None else after, "count": count}
        return [ledger_row(row) for row in await self._driver.rows(statement, {**values, **place}, timeout_s=LONG_S)]

    async def sums(self, which: UsageFilter, *, by: Sequence[UsageGroup]) -> Sequence[UsageSum]:
        return await sums(self._driver, which, by=by)

    async def spent(
        self, scope: LimitScope, subject: str, *, since: datetime | None, until: datetime | None
    ) -> tuple[int, int]:
        return await spent(self._driver, scope, subject, since=since, until=until)

    async def chain(self, writer: str, *, after_seq: int, count: int) -> Sequence[LedgerRow]:
        values: dict[str, Value] = {"writer": writer, "after_seq": after_seq, "count": count}
        return [ledger_row(row) for row in await self._driver.rows(_CHAIN, values)]

    async def writers(self) -> Sequence[str]:
        return sorted(row["writer"] for row in await self._driver.rows(_WRITERS))

    async def seals(self, writer: str) -> Sequence[Seal]:
        return await seals_of(self._driver, writer)

    async def seal(self, seal: Seal) -> None:
        """Raises Conflict when another seal covers a part of the piece."""
        await keep_seal(self._driver, seal)

    async def remove_sealed(self, *, before: datetime) -> int:
        return await remove_sealed(self._driver, before=before)

    async def estimates(self, provider: str, *, since: datetime, count: int) -> Sequence[LedgerRow]:
        values: dict[str, Value] = {"provider": provider, "since": micros(since), "count": count}
        return [ledger_row(row) for row in await self._driver.rows(_ESTIMATES, values)]


async def _append(session: Session, rows: Sequence[LedgerRow]) -> Sequence[int]:
    """Under the lock of the ledger's mark, which every process takes before it looks for what is there already."""
    newest = int((await session.rows(_LOCK))[0]["newest"])
    clean = [(storable(row.record), row.link) for row in rows]
    known = await session.rows(_KNOWN, {"ids": [record.request_id for record, _ in clean]})
    marks = {str(row["request_id"]): int(row["mark"]) for row in known}
    fresh = []
    for record, link in clean:
        if record.request_id not in marks:
            newest += 1
            marks[record.request_id] = newest
            fresh.append((record, link, newest))
    if fresh:
        await session.many(_INSERT, [columns(record, link, mark=mark) for record, link, mark in fresh])
        tags: list[Values] = [
            {"mark": mark, "tag_name": name, "tag_value": value}
            for record, _, mark in fresh
            for name, value in record.tags.items()
        ]
        if tags:
            await session.many(_INSERT_TAG, tags)
        records = [record for record, _, _ in fresh]
        await grow(session, records)
        await grow_spendings(session, records)
        await session.rows(_ADVANCE, {"newest": newest})
    return [marks[record.request_id] for record, _ in clean]
