"""What records add to the rollups: sums per hour and per day of all that agree in what reports group by."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final

import orjson

from llm_service.domain import UsageRecord
from llm_service.storage.sql.base import Session, Value
from llm_service.storage.sql.moments import DAY, HOUR

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
_NANO_USD: Final = SUMS.index("nano_usd")
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

_Same = tuple[Value, ...]
"""What records agree in, in the order of ``_PLAIN`` or of ``_TAGGED``."""
_Group = tuple[int, _Same]
"""The hour, or the day, and what they agree in."""


class Sums:
    """What one batch of records adds to the rollups: summed up in memory first, for most of a batch is alike."""

    __slots__ = ("_plain", "_tagged")

    def __init__(self) -> None:
        self._plain: dict[_Group, list[int]] = {}
        self._tagged: dict[_Group, list[int]] = {}

    def add(self, record: UsageRecord, at: int) -> None:
        """A further storable record, which began at this microsecond."""
        hour, tags = at - at % HOUR, record.tags
        same = (
            record.key_id, record.user, record.model, record.provider, record.surface, record.status, record.cache,
            1 if tags else 0,
        )  # fmt: skip
        group = hour, same
        sums = self._plain.get(group)
        if sums is None:
            sums = self._plain[group] = [0] * len(SUMS)
        _add(sums, record)
        for tag in tags.items():
            _add(self._tagged.setdefault((hour, (*tag, *same[:-1])), [0] * len(SUMS)), record)

    async def grow(self, session: Session) -> None:
        """Adds them to both tables, in the transaction that appends the records."""
        for statement, sums in ((_GROW, self._plain), (_GROW_TAGS, self._tagged)):
            if sums:
                await session.many(statement, _rows(sums))

    def spent(self) -> Iterator[tuple[int, str, str | None, str, str | None, int]]:
        """Hour, key, user, model, provider, and the nano-USD of the records that agree in these."""
        for (hour, (key_id, user, model, provider, *_)), sums in self._plain.items():
            yield hour, key_id, user, model, provider, sums[_NANO_USD]  # type: ignore[misc]


def _add(sums: list[int], record: UsageRecord) -> None:
    """Adds one record, in the order of ``SUMS``. A correction changes tokens and money, and is no request."""
    if record.adjusts is None:
        sums[0] += 1
        if record.status == "error":
            sums[8] += 1
    sums[1] += record.input_tokens
    sums[2] += record.output_tokens
    sums[3] += record.cached_input_tokens
    sums[4] += record.reasoning_tokens
    sums[5] += record.nano_usd
    sums[6] += record.saved_nano_usd
    sums[7] += record.wasted_nano_usd


def _rows(hours: Mapping[_Group, Sequence[int]]) -> Iterator[Sequence[Value]]:
    """By hour, and by day: those are made of the hours.

    A version that hashes what records agree in otherwise has rows of its own, and whoever sums adds them up.
    """
    days: dict[_Group, list[int]] = {}
    digests: dict[_Same, str] = {}
    for (hour, same), sums in hours.items():
        digest = digests.get(same)
        if digest is None:
            digest = digests[same] = blake2b(orjson.dumps(same), digest_size=16).hexdigest()
        yield (HOUR, hour, digest, *same, *sums)
        whole = days.setdefault((hour - hour % DAY, same), [0] * len(SUMS))
        for place, added in enumerate(sums):
            whole[place] += added
    for (day, same), sums in days.items():
        yield (DAY, day, digests[same], *same, *sums)
