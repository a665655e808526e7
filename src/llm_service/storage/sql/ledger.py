"""The ledger in SQL: appended by one process after the other, never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from llm_service.domain import LimitScope, UsageRecord
from llm_service.storage.ports import LedgerRow, Seal, UsageFilter, UsageGroup, UsageSum
from llm_service.storage.sql.base import Conflict, Driver, Session, Value
from llm_service.storage.sql.conditions import HIT
from llm_service.storage.sql.lists import ALL_PIECES, IN_PIECE, page
from llm_service.storage.sql.marks import LOCK_LEDGER
from llm_service.storage.sql.moments import micros
from llm_service.storage.sql.old_hours import remove_hours
from llm_service.storage.sql.rollups import Sums
from llm_service.storage.sql.rows import Shape, insertion, ledger_row, shaped, storable
from llm_service.storage.sql.seals import keep_seal, remove_sealed, seals_of
from llm_service.storage.sql.spendings import grow_spendings, spent
from llm_service.storage.sql.sums import sums

PIECE_ROWS: Final = 125
"""Rows that are made before they are inserted: 0.3 ms, for which no other thread of the process runs."""

_INSERT_TAG: Final = "INSERT INTO ledger_tags (mark, tag_name, tag_value) VALUES (:mark, :tag_name, :tag_value)"
_TAKE: Final = "UPDATE marks SET newest = newest + :count WHERE name = 'ledger' RETURNING newest"
_ADVANCE: Final = "UPDATE marks SET newest = :newest WHERE name = 'ledger'"
_KNOWN: Final = "SELECT request_id, mark FROM ledger WHERE request_id = ANY(:ids)"
_FIND: Final = f"""
    WITH RECURSIVE {ALL_PIECES}, named AS (
        SELECT request_id FROM ledger WHERE request_id = :id
        UNION SELECT ledger.request_id FROM pieces CROSS JOIN ledger WHERE {IN_PIECE} AND upstream_id = :id
    )
    SELECT * FROM ledger WHERE mark IN (
        SELECT mark FROM ledger JOIN named ON named.request_id = ledger.request_id
        UNION SELECT mark FROM ledger JOIN named ON named.request_id = ledger.adjusts
    ) ORDER BY mark
"""  # noqa: S608 - a constant
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

        async def begin(session: Session) -> Sequence[int]:
            return await _append(session, rows)

        async def go_on(session: Session) -> Sequence[int]:
            return await _append_what_is_new(session, rows)

        try:
            return await self._driver.write(begin)
        except Conflict:  # some of it has arrived before, which happens after failures alone: it is not asked each time
            return await self._driver.write(go_on)

    async def known(self, request_ids: Sequence[str]) -> frozenset[str]:
        found = await self._driver.rows(_KNOWN, {"ids": request_ids}) if request_ids else ()
        return frozenset(row["request_id"] for row in found)

    async def find(self, request_id: str) -> Sequence[LedgerRow]:
        if "\0" in request_id:
            return ()
        return [ledger_row(row) for row in await self._driver.rows(_FIND, {"id": request_id})]

    async def page(self, which: UsageFilter, *, after: int | None, count: int) -> Sequence[LedgerRow]:
        return [ledger_row(row) for row in await page(self._driver, which, after=after, count=count)]

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

    async def remove_hours(self, *, before: datetime) -> int:
        return await remove_hours(self._driver, before=before)

    async def estimates(self, provider: str, *, since: datetime, count: int) -> Sequence[LedgerRow]:
        values: dict[str, Value] = {"provider": provider, "since": micros(since), "count": count}
        return [ledger_row(row) for row in await self._driver.rows(_ESTIMATES, values)]


async def _append(session: Session, rows: Sequence[LedgerRow]) -> Sequence[int]:
    """As if nothing of it were there. Under the lock of the ledger's mark, which every process takes first."""
    newest = int((await session.rows(_TAKE, {"count": len(rows)}))[0]["newest"])
    await _insert(session, rows, after=newest - len(rows))
    return range(newest - len(rows) + 1, newest + 1)


async def _append_what_is_new(session: Session, rows: Sequence[LedgerRow]) -> Sequence[int]:
    newest = int((await session.rows(LOCK_LEDGER))[0]["newest"])
    ids = [_kept(row).request_id for row in rows]
    marks = {str(row["request_id"]): int(row["mark"]) for row in await session.rows(_KNOWN, {"ids": ids})}
    fresh = list[LedgerRow]()
    for row, request_id in zip(rows, ids, strict=True):
        if request_id not in marks:
            fresh.append(row)
            marks[request_id] = newest + len(fresh)
    if fresh:
        await _insert(session, fresh, after=newest)
        await session.rows(_ADVANCE, {"newest": newest + len(fresh)})
    return [marks[request_id] for request_id in ids]


def _kept(row: LedgerRow) -> UsageRecord:
    return row.record if row.is_storable else storable(row.record)


async def _insert(session: Session, rows: Sequence[LedgerRow], *, after: int) -> None:
    """Insert rows with the marks that follow, and add them to all sums, which are made once for all of them."""
    sums = Sums()
    alike: dict[Shape, list[Sequence[Value]]] = {}
    tags: list[Sequence[Value]] = []
    for mark, row in enumerate(rows, after + 1):
        record = _kept(row)
        at = micros(record.at)
        sums.add(record, at)
        shape, values = shaped(record, row.link, mark, at)
        found = alike.get(shape)
        if found is None:
            found = alike[shape] = []
        found.append(values)
        if len(found) == PIECE_ROWS:
            await session.many(insertion(shape), alike.pop(shape))
        if record.tags:
            tags.extend((mark, name, value) for name, value in record.tags.items())
    for shape, of_shape in alike.items():
        await session.many(insertion(shape), of_shape)
    if tags:
        await session.many(_INSERT_TAG, tags)
    await sums.grow(session)
    await grow_spendings(session, sums)
