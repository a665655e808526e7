"""A ledger's store in memory, or in a file that several processes share; it keeps the promises of the port."""

import asyncio
import fcntl
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from llm_service.domain import CACHE_HITS, LimitScope, Tried, UsageRecord, Verdict
from llm_service.storage import (
    ChainLink,
    LedgerRow,
    Seal,
    StoreUnavailable,
    UsageFilter,
    UsageGroup,
    UsageSum,
)


class MemoryLedger:
    """Rows in a list. ``away``: every call fails; ``calls``: how often rows were appended."""

    def __init__(self) -> None:
        self.rows = list[LedgerRow]()
        self.kept_seals = list[Seal]()
        self.hours_removed_before: datetime | None = None
        self.away = False
        self.calls = 0
        self._marks = dict[str, int]()
        self.gate: asyncio.Event | None = None

    def ids(self) -> list[str]:
        return [row.record.request_id for row in self.rows]

    async def append(self, rows: Sequence[LedgerRow]) -> Sequence[int]:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        self._reach()
        marks = self._known_marks()
        for row in rows:
            if row.record.request_id not in marks:
                marks[row.record.request_id] = len(marks) + 1
                self.rows.append(replace(row, mark=marks[row.record.request_id]))
        return [marks[row.record.request_id] for row in rows]

    async def known(self, request_ids: Sequence[str]) -> frozenset[str]:
        self._reach()
        return frozenset(self._known_marks().keys() & set(request_ids))

    async def find(self, request_id: str) -> Sequence[LedgerRow]:
        self._reach()
        return [
            row
            for row in self.rows
            if request_id in (row.record.request_id, row.record.adjusts, row.record.upstream_id)
        ]

    async def page(self, which: UsageFilter, *, after: int | None, count: int) -> Sequence[LedgerRow]:
        self._reach()
        found = [row for row in reversed(self.rows) if _lets_through(which, row.record)]
        return [row for row in found if after is None or row.mark < after][:count]

    async def sums(self, which: UsageFilter, *, by: Sequence[UsageGroup]) -> Sequence[UsageSum]:
        self._reach()
        records = [row.record for row in self.rows if _lets_through(which, row.record)]
        groups: dict[tuple[str | None, ...], list[UsageRecord]] = {} if by else {(): []}
        for record in records:
            groups.setdefault(tuple(_group_of(record, name) for name in by), []).append(record)
        return [_sum(dict(zip(by, group, strict=True)), groups[group]) for group in sorted(groups, key=_order)]

    async def spent(
        self, scope: LimitScope, subject: str, *, since: datetime | None, until: datetime | None
    ) -> tuple[int, int]:
        self._reach()
        names = {"key": "key_id", "user": "user", "model": "model", "provider": "provider"}
        which = UsageFilter(since=since, until=until, **({names[scope]: subject} if scope in names else {}))  # type: ignore[arg-type]
        money = sum(row.record.nano_usd for row in self.rows if _lets_through(which, row.record))
        return money, self.rows[-1].mark if self.rows else 0

    async def chain(self, writer: str, *, after_seq: int, count: int) -> Sequence[LedgerRow]:
        self._reach()
        rows = sorted((row for row in self.rows if row.link.writer == writer), key=lambda row: row.link.seq)
        return [row for row in rows if row.link.seq > after_seq][:count]

    async def writers(self) -> Sequence[str]:
        self._reach()
        return sorted({row.link.writer for row in self.rows} | {seal.writer for seal in self.kept_seals})

    async def seals(self, writer: str) -> Sequence[Seal]:
        self._reach()
        return sorted((seal for seal in self.kept_seals if seal.writer == writer), key=lambda seal: seal.first_seq)

    async def seal(self, seal: Seal) -> None:
        self._reach()
        if not any((kept.writer, kept.first_seq) == (seal.writer, seal.first_seq) for kept in self.kept_seals):
            self.kept_seals.append(seal)

    async def remove_sealed(self, *, before: datetime) -> int:
        self._reach()
        gone = 0
        for index, seal in enumerate(self.kept_seals):
            piece = [
                row
                for row in self.rows
                if row.link.writer == seal.writer and seal.first_seq <= row.link.seq <= seal.last_seq
            ]
            if not seal.removed and all(row.record.at < before for row in piece):
                self.rows = [row for row in self.rows if row not in piece]
                self.kept_seals[index] = replace(seal, removed=True)
                gone += len(piece)
        return gone

    async def remove_hours(self, *, before: datetime) -> int:
        """There are none: sums are made of the records."""
        self._reach()
        self.hours_removed_before = before
        return 24

    async def estimates(self, provider: str, *, since: datetime, count: int) -> Sequence[LedgerRow]:
        self._reach()
        corrected = {row.record.adjusts for row in self.rows}
        return [
            row
            for row in self.rows
            if row.record.provider == provider
            and row.record.at >= since
            and (row.record.cost_source == "estimate" or _unpriced(row.record))
            and row.record.adjusts is None
            and row.record.cache not in CACHE_HITS
            and row.record.upstream_id is not None
            and row.record.request_id not in corrected
        ][:count]

    def _known_marks(self) -> dict[str, int]:
        if len(self._marks) != len(self.rows):  # a test, or another process, has changed the rows
            self._marks = {row.record.request_id: row.mark for row in self.rows}
        return self._marks

    def _reach(self) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")


class FileLedger(MemoryLedger):
    """The same in a file: what is kept is appended as a line, and what others kept is read before each call."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._read = 0
        path.touch()

    async def append(self, rows: Sequence[LedgerRow]) -> Sequence[int]:
        with self._path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._catch_up(file)
            before = len(self.rows)
            marks = await super().append(rows)
            lines = [orjson.dumps({"row": row}, default=dict) + b"\n" for row in self.rows[before:]]
            file.seek(self._read)
            file.write(b"".join(lines))
            file.truncate()
            self._read = file.tell()
        return marks

    def _reach(self) -> None:
        super()._reach()
        with self._path.open("rb") as file:
            self._catch_up(file)

    def _catch_up(self, file: Any) -> None:
        file.seek(self._read)
        text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            row = orjson.loads(line)["row"]
            read = row["record"]
            tries = tuple(Tried(**one) for one in read["tries"])
            verdicts = tuple(Verdict(**{**one, "labels": tuple(one["labels"])}) for one in read["verdicts"])
            at = datetime.fromisoformat(read["at"])
            record = UsageRecord(**read | {"at": at, "tries": tries, "verdicts": verdicts})
            self.rows.append(LedgerRow(record=record, link=ChainLink(**row["link"]), mark=row["mark"]))


def _unpriced(record: UsageRecord) -> bool:
    return record.cost_source == "none" and record.input_tokens + record.output_tokens > 0


def _lets_through(which: UsageFilter, record: UsageRecord) -> bool:
    return (
        (which.since is None or record.at >= which.since)
        and (which.until is None or record.at < which.until)
        and which.key_id in (None, record.key_id)
        and (which.key_ids is None or record.key_id in which.key_ids)
        and which.user in (None, record.user)
        and which.model in (None, record.model)
        and which.provider in (None, record.provider)
        and which.status in (None, record.status)
        and which.cache in (None, record.cache)
        and (which.tag is None or record.tags.get(which.tag[0]) == which.tag[1])
    )


def _order(group: tuple[str | None, ...]) -> list[tuple[bool, str]]:
    return [(value is not None, value or "") for value in group]


def _group_of(record: UsageRecord, name: UsageGroup) -> str | None:
    """Tags are for the real stores: a record may have several."""
    if name in ("hour", "day"):
        return record.at.strftime("%Y-%m-%dT%H:00:00Z" if name == "hour" else "%Y-%m-%d")
    value: str | None = getattr(record, {"key": "key_id"}.get(name, name))
    return value


def _sum(group: dict[UsageGroup, str | None], records: Sequence[UsageRecord]) -> UsageSum:
    def total(figure: Callable[[UsageRecord], int]) -> int:
        return sum(figure(record) for record in records)

    return UsageSum(
        group={str(name): value for name, value in group.items()},
        requests=total(lambda record: record.adjusts is None),
        input_tokens=total(lambda record: record.input_tokens),
        output_tokens=total(lambda record: record.output_tokens),
        cached_input_tokens=total(lambda record: record.cached_input_tokens),
        reasoning_tokens=total(lambda record: record.reasoning_tokens),
        nano_usd=total(lambda record: record.nano_usd),
        errors=total(lambda record: record.status == "error"),
        saved_nano_usd=total(lambda record: record.saved_nano_usd),
        wasted_nano_usd=total(lambda record: record.wasted_nano_usd),
        hits=total(lambda record: record.adjusts is None and record.cache in CACHE_HITS),
    )
