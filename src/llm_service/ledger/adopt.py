"""Takes care of the journals of processes that have died: every record arrives, every open request gets one.

The dead writer's own chain is continued, in its own journal and under its lock. So whoever takes over from an adopter
that dies on the way finds the records that it wrote where the intents are, and writes no second one.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from llm_service.domain import Intent, Settlement, UsageRecord
from llm_service.ledger.backlog import PIECE_BYTES
from llm_service.ledger.chain import START, Tip
from llm_service.ledger.entries import Closed, Entry, Head, Opened, read
from llm_service.ledger.folder import let_go, pieces, segments_of, take, writers_in
from llm_service.ledger.journal import Journal
from llm_service.ledger.seals import end_of_chain, seal_up_to
from llm_service.ledger.ship import BATCH_ROWS
from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.storage import LedgerRow, LedgerStore, StoreUnavailable, storable

LONGEST_PAUSE_S: Final = 30.0
SETTLED_AT_ONCE: Final = 50


class OnLost(Protocol):
    """Hears what became of the requests of a process that has died; may hear it again.

    Both raise StoreUnavailable to be called again later: the journal is kept until then.
    """

    async def settled(
        self, *, holder: str, request_id: str, settlement: Settlement, intent: Intent | None, mark: int
    ) -> None:
        """The request of this dead writer used so much, by the record that has this mark in the database.

        ``intent`` is ``None`` for a request that no upstream was called for.
        """

    async def told_all(self, *, holder: str) -> None:
        """There is nothing more to be heard of this dead writer."""


class _Pause(NamedTuple):
    until_s: float
    length_s: float


class _Piece(NamedTuple):
    entries: list[Entry]
    end: int
    """Offset in the segment behind its last whole entry so far."""


class _End(NamedTuple):
    record: UsageRecord
    mark: int
    called: bool = True


@dataclass(slots=True)
class _Dead:
    """What a dead writer's journal says, as far as it is read."""

    writer: str
    lock_fd: int
    tip: Tip = START
    last_number: int = 0
    size: int = 0
    open: dict[str, Intent] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    """Of requests that are not settled."""
    records: int = 0
    interrupted: int = 0


class Adopter:
    """Adopts journals in a folder that nobody owns. Several processes may do so at once: each journal goes to one."""

    def __init__(self, folder: Path, *, own: str, store: LedgerStore, on_lost: OnLost, clock: Clock, log: Log) -> None:
        self.waiting = 0
        """Journals that cannot be adopted yet."""
        self._folder = folder
        self._own = own
        self._store = store
        self._on_lost = on_lost
        self._clock = clock
        self._log = log
        self._pauses = dict[str, _Pause]()

    async def round(self) -> int:
        """Adopt what there is to adopt; how many journals that were. What fails is tried again after a pause."""
        writers = await asyncio.to_thread(writers_in, self._folder)
        adopted = 0
        for writer in writers:
            pause = self._pauses.get(writer)
            if writer != self._own and (pause is None or pause.until_s <= self._clock.monotonic()):
                adopted += await self._try(writer)
        for gone in self._pauses.keys() - set(writers):
            del self._pauses[gone]
        self.waiting = len(self._pauses)
        return adopted

    async def _try(self, writer: str) -> bool:
        try:
            adopted = await self._adopt(writer)
        except (StoreUnavailable, OSError, ValueError) as error:
            self._put_off(writer, str(error))
        except Exception as error:  # noqa: BLE001 - a journal that nobody can read must not keep the others waiting
            self._put_off(writer, "a defect", defect=error)
        else:
            self._pauses.pop(writer, None)
            return adopted
        return False

    def _put_off(self, writer: str, reason: str, *, defect: Exception | None = None) -> None:
        pause = self._pauses.get(writer)
        length_s = min(LONGEST_PAUSE_S, pause.length_s * 2 if pause else 1.0)
        self._pauses[writer] = _Pause(self._clock.monotonic() + length_s, length_s)
        self._log.warning("journal_not_adopted", writer=writer, reason=reason, exc_info=defect)

    async def _adopt(self, writer: str) -> bool:
        lock_fd = take(self._folder, writer)
        if lock_fd is None:
            return False
        done = False
        try:
            dead = _Dead(writer, lock_fd)
            segments = await asyncio.to_thread(segments_of, self._folder, writer)
            await self._ship_closes(dead, segments)
            await self._close_orphans(dead)
            await self._on_lost.told_all(holder=writer)
            await seal_up_to(self._store, writer, dead.tip, clock=self._clock)
            await asyncio.to_thread(_remove, self._folder, writer)
            done = True
        finally:
            let_go(self._folder, writer, lock_fd, remove=done)
        if dead.records or dead.interrupted:
            self._log.warning("journal_adopted", writer=writer, records=dead.records, interrupted=dead.interrupted)
        return bool(segments)

    async def _ship_closes(self, dead: _Dead, segments: dict[int, Path]) -> None:
        unread = _read(segments, dead.writer)
        while (piece := await asyncio.to_thread(next, unread, None)) is not None:
            dead.size = piece.end
            closed = _digest(dead, piece.entries)
            for start in range(0, len(closed), BATCH_ROWS):
                await self._ship(dead, closed[start : start + BATCH_ROWS])
        dead.last_number = max(segments, default=0)
        if segments:
            os.truncate(segments[dead.last_number], dead.size)  # a full disk needs the space that was laid by

    async def _ship(self, dead: _Dead, closed: Sequence[Closed]) -> None:
        marks = await self._store.append([LedgerRow(record=entry.record, link=entry.link) for entry in closed])
        dead.records += len(closed)
        ends = zip(closed, marks, strict=True)
        await self._settle(
            dead, [_End(one.record, mark, one.called) for one, mark in ends if one.record.adjusts is None]
        )

    async def _close_orphans(self, dead: _Dead) -> None:
        """Write the records that nobody wrote, then bring them where the others are."""
        await self._drop_known(dead)
        dead.tip = await end_of_chain(self._store, dead.writer, after=dead.tip)
        orphans = list(dead.open.values())
        if not orphans:
            return
        closed = self._write_orphans(dead, orphans)  # in one go: nobody may take over while a thread still writes
        dead.tip = Tip(closed[-1].link.seq, closed[-1].link.hash)
        dead.interrupted = len(closed)
        for start in range(0, len(closed), BATCH_ROWS):
            await self._ship(dead, closed[start : start + BATCH_ROWS])
        dead.records -= len(closed)

    async def _drop_known(self, dead: _Dead) -> None:
        """Some may have a record in the store, and the segment that held it was removed with the rest of it."""
        ids = list(dead.open)
        for start in range(0, len(ids), BATCH_ROWS):
            for request_id in await self._store.known(ids[start : start + BATCH_ROWS]):
                del dead.open[request_id]
                rows = await self._store.find(request_id)
                await self._settle(
                    dead, [_End(one.record, one.mark) for one in rows if one.record.request_id == request_id]
                )

    def _write_orphans(self, dead: _Dead, orphans: Sequence[Intent]) -> list[Closed]:
        journal = Journal(
            self._folder, dead.writer, lock_fd=dead.lock_fd, retire=_close, tip=dead.tip, number=dead.last_number + 1
        )
        try:
            records = [storable(interrupted(intent)) for intent in orphans]
            return [Closed(record, journal.close(record, called=True), called=True) for record in records]
        finally:
            journal.leave()

    async def _settle(self, dead: _Dead, ends: Sequence[_End]) -> None:
        for start in range(0, len(ends), SETTLED_AT_ONCE):
            await asyncio.gather(
                *(
                    self._on_lost.settled(
                        holder=dead.writer,
                        request_id=end.record.request_id,
                        settlement=_settlement(end.record, called=end.called),
                        intent=dead.intents.get(end.record.request_id),
                        mark=end.mark,
                    )
                    for end in ends[start : start + SETTLED_AT_ONCE]
                )
            )
            for end in ends[start : start + SETTLED_AT_ONCE]:
                dead.intents.pop(end.record.request_id, None)


def interrupted(intent: Intent) -> UsageRecord:
    """The record of a request whose process died: as if it had used all that was held for it."""
    held = intent.held
    return UsageRecord(
        request_id=intent.request_id,
        stream_id=intent.stream_id,
        at=intent.at,
        key_id=intent.key_id,
        user=intent.user,
        tags=intent.tags,
        surface=intent.surface,
        model=intent.model,
        provider=intent.provider,
        upstream_model=intent.upstream_model,
        upstream_id=None,
        input_tokens=held.input_tokens,
        output_tokens=held.output_tokens,
        cached_input_tokens=held.cached_input_tokens,
        reasoning_tokens=held.reasoning_tokens,
        nano_usd=intent.nano_usd,
        cost_source="estimate",
        status="interrupted",
        cache=intent.cache,
        cache_key=intent.cache_key,
    )


def _settlement(record: UsageRecord, *, called: bool) -> Settlement:
    tokens = record.input_tokens + record.output_tokens if called else 0
    return Settlement(tokens=tokens, nano_usd=record.nano_usd, provider=called)


def _read(segments: dict[int, Path], writer: str) -> Iterator[_Piece]:
    for path in segments.values():
        end = 0
        for begins, piece in pieces(path, start=0, end=None, piece_bytes=PIECE_BYTES):
            found = list(read(piece, writer=writer))
            end = begins + found[-1][1] if found else end
            yield _Piece([entry for entry, _ in found], end)


def _digest(dead: _Dead, entries: Sequence[Entry]) -> list[Closed]:
    """Take note of a piece; its records."""
    closed = list[Closed]()
    for entry in entries:
        match entry:
            case Head(tip=tip):
                dead.tip = max(dead.tip, tip)
            case Opened(intent=intent):
                dead.open[intent.request_id] = dead.intents[intent.request_id] = intent
            case Closed(record=record, link=link):
                dead.open.pop(record.request_id, None)
                dead.tip = max(dead.tip, Tip(link.seq, link.hash))
                closed.append(entry)
    return closed


def _remove(folder: Path, writer: str) -> None:
    for path in segments_of(folder, writer).values():
        path.unlink(missing_ok=True)


def _close(fd: int, size: int) -> None:
    os.ftruncate(fd, size)
    os.close(fd)
