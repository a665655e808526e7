"""What a process writes into the logs that others read: of all its generations together, a few times in a moment."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from llm_service.domain import CostSource, Event, Head, Outcome
from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks, TimerHandle
from llm_service.storage import LogPart, StoreUnavailable, StreamStore
from llm_service.streams.codec import end_bytes, event_bytes, head_bytes

FLUSH_S: Final = 0.005
AGAIN_S: Final = 0.5
MOST_OWED: Final = 1000
MOST_BYTES: Final = 1024 * 1024
"""So much news is written in one round trip; one call has its turn at a time."""


class _News:
    """What is still to be written of one log."""

    __slots__ = ("end", "events", "first_seq", "head", "written")

    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq
        self.events: list[bytes] = []
        self.head = b""
        self.end = b""
        self.written: asyncio.Future[None] | None = None


class Outbox:
    """Batches the news of logs. What the store does not take is lost, and a reader elsewhere is told that it is.

    An end is said again until the store takes it: who reads elsewhere waits for it.
    """

    def __init__(self, store: StreamStore, *, clock: Clock, tasks: Tasks, log: Log) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._news: dict[str, _News] = {}
        self._owed: dict[str, LogPart] = {}
        self._timer: TimerHandle | None = None
        self._again: TimerHandle | None = None
        self._writing = False

    def open(self, log_id: str) -> None:
        """There is such a generation, which has not begun."""
        self._of(log_id, 1)

    def head(self, log_id: str, head: Head) -> None:
        """A log's generation has begun."""
        self._of(log_id, 1).head = head_bytes(head)

    def events(self, log_id: str, batch: Sequence[Event]) -> None:
        """The next events of a log."""
        self._of(log_id, batch[0].seq).events += map(event_bytes, batch)

    async def end(
        self, log_id: str, outcome: Outcome, *, next_seq: int, nano_usd: int, cost_source: CostSource
    ) -> None:
        """A log's generation has ended; returns when others can read that, or the store is away."""
        news = self._of(log_id, next_seq)
        news.end = end_bytes(outcome, nano_usd=nano_usd, cost_source=cost_source)
        news.written = asyncio.get_running_loop().create_future()
        self._flush()
        await news.written

    def _of(self, log_id: str, first_seq: int) -> _News:
        news = self._news.get(log_id)
        if news is None:
            news = self._news[log_id] = _News(first_seq)
            if self._timer is None and not self._writing:
                self._timer = self._clock.call_later(FLUSH_S, self._flush)
        return news

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._writing:
            self._writing = True
            self._tasks.spawn(self._write(), name="logs of streams")

    async def _write(self) -> None:
        """Write what there is, and what has come meanwhile."""
        try:
            while self._news:
                news, self._news = self._news, {}
                await self._write_all(news)
        finally:
            self._writing = False

    async def _write_all(self, news: Mapping[str, _News]) -> None:
        parts = [
            LogPart(log_id=log_id, first_seq=one.first_seq, events=one.events, head=one.head, end=one.end)
            for log_id, one in news.items()
        ]
        try:
            await self._append(parts)
        finally:
            for one in news.values():
                if one.written is not None and not one.written.done():
                    one.written.set_result(None)

    async def _append(self, parts: Sequence[LogPart]) -> None:
        try:
            for piece in _pieces(parts):
                await self._store.append(piece)
        except StoreUnavailable as failure:
            self._log.debug("streams are not written for other processes", cause=str(failure))
            self._owe(part for part in parts if part.end)

    def _owe(self, ends: Iterable[LogPart]) -> None:
        """Say these ends again later, without the events before them: of those a bounded number is kept in memory."""
        for part in ends:
            self._owed[part.log_id] = replace(part, first_seq=part.first_seq + len(part.events), events=())
        for log_id in tuple(self._owed)[:-MOST_OWED]:
            del self._owed[log_id]
        if self._owed and self._again is None:
            self._again = self._clock.call_later(AGAIN_S, self._say_again)

    def _say_again(self) -> None:
        self._again = None
        owed, self._owed = self._owed, {}
        self._tasks.spawn(self._append([*owed.values()]), name="ends of streams")


def _pieces(parts: Sequence[LogPart]) -> Sequence[Sequence[LogPart]]:
    """The parts in calls of a bounded size, each part whole."""
    pieces: list[list[LogPart]] = [[]]
    size = 0
    for part in parts:
        own = sum(map(len, part.events))
        if pieces[-1] and size + own > MOST_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(part)
        size += own
    return pieces
