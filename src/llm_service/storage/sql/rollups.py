"""What records add to the rollups: sums per hour and per day of all that agree in what reports group by."""

import json
import operator
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

from llm_service.domain import UsageRecord
from llm_service.storage.sql.base import Session, Value, Values
from llm_service.storage.sql.moments import DAY, HOUR, micros

SUMS: Final = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "nano_usd",
    "saved_nano_usd",
    "wasted_nano_usd",
    "errors",
)
_SAME: Final = ("key_id", "user_name", "model", "provider", "surface", "status", "cache")
_PLAIN: Final = (*_SAME, "tagged")
_TAGGED: Final = ("tag_name", "tag_value", *_SAME)


def _upsert(table: str, same: Sequence[str]) -> str:
    names = ("span", "start", "same", *same, *SUMS)
    grown = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "  # noqa: S608
        f"ON CONFLICT (span, start, same) DO UPDATE SET {grown}"
    )


_GROW: Final = _upsert("rollups", _PLAIN)
_GROW_TAGS: Final = _upsert("tag_rollups", _TAGGED)


async def grow(session: Session, records: Sequence[UsageRecord]) -> None:
    """Adds storable records to both tables, in the transaction that appends them."""
    plain, tagged = _Sums(_PLAIN), _Sums(_TAGGED)
    for record in records:
        at, added, same = micros(record.at), sums_of(record), _same(record)
        plain.add(at, (*same, int(bool(record.tags))), added)
        for tag in record.tags.items():
            tagged.add(at, (*tag, *same), added)
    for statement, sums in ((_GROW, plain), (_GROW_TAGS, tagged)):
        if rows := list(sums.rows()):
            await session.many(statement, rows)


_Group = tuple[int, tuple[Value, ...]]


class _Sums:
    """Sums by hour and everything that must agree; days are made of them."""

    __slots__ = ("_hours", "_names")

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._hours: dict[_Group, tuple[int, ...]] = {}

    def add(self, at: int, same: tuple[Value, ...], added: tuple[int, ...]) -> None:
        _grow(self._hours, (at - at % HOUR, same), added)

    def rows(self) -> Iterator[Values]:
        days: dict[_Group, tuple[int, ...]] = {}
        for (hour, same), sums in self._hours.items():
            yield self._row(HOUR, hour, same, sums)
            _grow(days, (hour - hour % DAY, same), sums)
        for (day, same), sums in days.items():
            yield self._row(DAY, day, same, sums)

    def _row(self, span: int, start: int, same: tuple[Value, ...], sums: tuple[int, ...]) -> Values:
        digest = blake2b(json.dumps(same).encode(), digest_size=16).hexdigest()
        names = zip(self._names, same, strict=True)
        return {"span": span, "start": start, "same": digest, **dict(names), **dict(zip(SUMS, sums, strict=True))}


def _grow(sums: dict[_Group, tuple[int, ...]], group: _Group, added: tuple[int, ...]) -> None:
    grown = sums.get(group)
    sums[group] = added if grown is None else tuple(map(operator.add, grown, added))


def sums_of(record: UsageRecord) -> tuple[int, ...]:
    """What one record adds, in the order of ``SUMS``. A correction changes tokens and money, and is no request."""
    own = int(record.adjusts is None)
    return (
        own,
        record.input_tokens,
        record.output_tokens,
        record.cached_input_tokens,
        record.reasoning_tokens,
        record.nano_usd,
        record.saved_nano_usd,
        record.wasted_nano_usd,
        own * int(record.status == "error"),
    )


def _same(record: UsageRecord) -> tuple[Value, ...]:
    return record.key_id, record.user, record.model, record.provider, record.surface, record.status, record.cache
