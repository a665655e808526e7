"""The audit log in SQL: appended by one process after the other, never changed."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from llm_service.storage.ports import AuditEntry, AuditFilter
from llm_service.storage.sql.base import LONG_S, Driver, Row, Session, Value, Values
from llm_service.storage.sql.moments import micros, moment
from llm_service.storage.sql.pieces import FOREVER
from llm_service.storage.sql.rows import MOST_TEXT, keepable

MOST_FIELDS: Final = 64

_COLUMNS: Final = (
    "mark, id, at, door, act, subject, outcome, error_code, key_id, key_name, peer, request_id, fields, times"
)
_INSERT: Final = f"INSERT INTO audit ({_COLUMNS}) VALUES (:{_COLUMNS.replace(', ', ', :')})"  # noqa: S608
_LOCK: Final = "UPDATE marks SET newest = newest WHERE name = 'audit' RETURNING newest"
_ADVANCE: Final = "UPDATE marks SET newest = :newest WHERE name = 'audit'"
_KNOWN: Final = "SELECT id FROM audit WHERE id = ANY(:ids)"
_REMOVE: Final = """
    DELETE FROM audit WHERE mark IN (SELECT mark FROM audit WHERE at < :before ORDER BY at LIMIT :count) RETURNING mark
"""


class SqlAudit:
    """The port AuditStore on either engine. What cannot be kept as it is, is kept as records are (``keepable``)."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        async def work(session: Session) -> None:
            await _append(session, entries)

        if entries:
            await self._driver.write(work)

    async def page(self, which: AuditFilter, *, after: int | None, count: int) -> Sequence[AuditEntry]:
        where, values = _conditions(which)
        statement = f"SELECT * FROM audit WHERE {where} AND mark < :after ORDER BY mark DESC LIMIT :count"  # noqa: S608
        place: dict[str, Value] = {"after": FOREVER if after is None else after, "count": count}
        return [_entry(row) for row in await self._driver.rows(statement, {**values, **place}, timeout_s=LONG_S)]

    async def remove(self, *, before: datetime, count: int) -> int:
        values: Values = {"before": micros(before), "count": count}

        async def work(session: Session) -> int:
            return len(await session.rows(_REMOVE, values))

        return await self._driver.write(work)


async def _append(session: Session, entries: Sequence[AuditEntry]) -> None:
    """Under the lock of the log's mark, which every process takes before it looks for what is there already."""
    newest = int((await session.rows(_LOCK))[0]["newest"])
    known = {row["id"] for row in await session.rows(_KNOWN, {"ids": [one.id for one in entries]})}
    fresh = {one.id: one for one in entries if one.id not in known}
    if not fresh:
        return
    await session.many(_INSERT, [_in_order(one, mark=mark) for mark, one in enumerate(fresh.values(), newest + 1)])
    await session.rows(_ADVANCE, {"newest": newest + len(fresh)})


def _in_order(entry: AuditEntry, *, mark: int) -> Sequence[Value]:
    """The values of all ``_COLUMNS``."""
    return (
        mark,
        entry.id,
        micros(entry.at),
        entry.door,
        keepable(entry.act, MOST_TEXT),
        _optional(entry.subject),
        entry.outcome,
        _optional(entry.error_code),
        _optional(entry.key_id),
        _optional(entry.key_name),
        _optional(entry.peer),
        _optional(entry.request_id),
        json.dumps([keepable(name, MOST_TEXT) for name in entry.fields[:MOST_FIELDS]]),
        entry.times,
    )


def _entry(row: Row) -> AuditEntry:
    """What ``_in_order`` was given."""
    return AuditEntry(
        id=row["id"],
        at=moment(row["at"]),
        door=row["door"],
        act=row["act"],
        subject=row["subject"],
        outcome=row["outcome"],
        error_code=row["error_code"],
        key_id=row["key_id"],
        key_name=row["key_name"],
        peer=row["peer"],
        request_id=row["request_id"],
        fields=tuple(json.loads(row["fields"])),
        times=row["times"],
        mark=row["mark"],
    )


def _conditions(which: AuditFilter) -> tuple[str, Values]:
    """A condition with its values, put together from constants."""
    parts: list[str] = []
    values: dict[str, Value] = {}
    for column, value in (
        ("act", which.act),
        ("key_id", which.key_id),
        ("subject", which.subject),
        ("outcome", which.outcome),
        ("door", which.door),
    ):
        if value is not None:
            parts.append(f"{column} = :filter_{column}")
            values[f"filter_{column}"] = value
    for bound, sign in ((which.since, ">="), (which.until, "<")):
        if bound is not None:
            name = "since" if sign == ">=" else "until"
            parts.append(f"at {sign} :filter_{name}")
            values[f"filter_{name}"] = micros(bound)
    return " AND ".join(parts) or "1 = 1", values


def _optional(text: str | None) -> str | None:
    return None if text is None else keepable(text, MOST_TEXT)
