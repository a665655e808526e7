"""What records add to the rollups: sums per hour and per day of all that agree in what reports group by."""

import json
from collections.abc import Iterator, Mapping, Sequence
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
    "errors",
)
_SAME: Final = ("key_id", "user_name", "model", "provider", "surface", "status")


def _upsert(table: str, same: Sequence[str]) -> str:
    names = ("span", "start", "same", *same, *SUMS)
    grown = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "  # noqa: S608
        f"ON CONFLICT (span, start, same) DO UPDATE SET {grown}"
    )


_GROW: Final = _upsert("rollups", (*_SAME, "tagged"))
_GROW_TAGS: Final = _upsert("tag_rollups", ("tag_name", "tag_value", *_SAME))


async def grow(session: Session, records: Sequence[UsageRecord]) -> None:
    """Adds storable records to both tables, in the transaction that appends them."""
    plain = _Sums()
    tagged = _Sums()
    for record in records:
        same = _same(record)
        plain.add({**same, "tagged": int(bool(record.tags))}, record)
        for name, value in record.tags.items():
            tagged.add({"tag_name": name, "tag_value": value, **same}, record)
    if plain:
        await session.many(_GROW, list(plain.rows()))
    if tagged:
        await session.many(_GROW_TAGS, list(tagged.rows()))


class _Sums:
    """Sums by span, start and everything that must agree."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int, str], tuple[Mapping[str, Value], list[int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(self, same: Mapping[str, Value], record: UsageRecord) -> None:
        at = micros(record.at)
        digest = blake2b(json.dumps(list(same.values())).encode(), digest_size=16).hexdigest()
        added = sums_of(record)
        for span in (HOUR, DAY):
            _, sums = self._sums.setdefault((span, at - at % span, digest), (same, [0] * len(SUMS)))
            for place, value in enumerate(added):
                sums[place] += value

    def rows(self) -> Iterator[Values]:
        for (span, start, digest), (same, sums) in self._sums.items():
            yield {"span": span, "start": start, "same": digest, **same, **dict(zip(SUMS, sums, strict=True))}


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
        own * int(record.status == "error"),
    )


def _same(record: UsageRecord) -> dict[str, Value]:
    return {
        "key_id": record.key_id,
        "user_name": record.user,
        "model": record.model,
        "provider": record.provider,
        "surface": record.surface,
        "status": record.status,
    }
