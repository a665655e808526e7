"""What a process writes into the logs that others read: of all its generations together, a few times in a moment."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from llm_service.domain import CostSource, Event, Head, Outcome
from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks, TimerHandle
from llm_service.storage import LogPart, StoreUnavailable, StreamStore
from llm_service.streams.codec import end_bytes, event_bytes, head_bytes

FLUSH_S: Final = 0.005
AGAIN_S: Final = 0.5
MOST_KEPT: Final = 1000
MOST_KEPT_BYTES: Final = 8 * 1024 * 1024
"""Of so many logs, and with so much of events, news is kept that the store has not taken."""
MOST_BYTES: Final = 1024 * 1024
MOST_EVENTS: Final = 2000
"""So much news is written in one round trip, be it of one log: others wait for the store meanwhile, and take it for
lost when that lasts. One call has its turn at a time."""


class _News:
    """What is still to be written of one log. ``kept_bytes``: of its events, once the store has not taken them."""

    __slots__ = ("end", "events", "first_seq", "head", "kept_bytes", "written")

    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq
        self.events: list[bytes] = []
        self.head = b""
        self.end = b""
        self.kept_bytes = 0
        self.written: asyncio.Future[None] | None = None

    @property
    def next_seq(self) -> int:
        return self.first_seq + len(self.events)

    def go_on(self, news: "_News") -> None:
        """Take in what has come since."""
        self.events += news.events
        self.head = news.head or self.head
        self.end = news.end
        self.written = news.written

    def part(self, log_id: str, count: int) -> LogPart:
        """Its first events; with the last of them its end."""
        end = self.end if count == len(self.events) else b""
        return LogPart(log_id=log_id, first_seq=self.first_seq, events=self.events[:count], head=self.head, end=end)

    def has_been_written(self, count: int) -> bool:
        """The store has its first events. Whether that is all."""
        self.first_seq, self.head = self.first_seq + count, b""
        del self.events[:count]
        return not self.events

    def wait_no_longer(self) -> None:
        """Let whoever waits for its end go on: it is there, or the store is away."""
        if self.written is not None and not self.written.done():
            self.written.set_result(None)
        self.written = None

    def let_go(self) -> None:
        """Give the events up: the store will see that they are missing, and say so."""
        self.first_seq, self.events, self.kept_bytes = self.next_seq, [], 0


class Outbox:
    """Batches the news of logs. What the store does not take is kept and said again, so that a store which comes back
    (a replica in place of its primary, a machine that was cut off) has all of it; of more than a bounded part of it the
    oldest is lost, and a reader elsewhere is told that it is.
    """

    def __init__(self, store: StreamStore, *, clock: Clock, tasks: Tasks, log: Log) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._news: dict[str, _News] = {}
        self._kept: dict[str, _News] = {}
        self._kept_bytes = 0
        self._timer: TimerHandle | None = None
        self._writing = False
        self._closed = False

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
        if self._kept:  # the store is away: it is asked again in its time, and nobody waits for that
            return
        news.written = asyncio.get_running_loop().create_future()
        self._flush()
        await news.written

    def close(self) -> None:
        """Say nothing again: nobody writes any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _of(self, log_id: str, first_seq: int) -> _News:
        news = self._news.get(log_id)
        if news is None:
            news = self._news[log_id] = _News(first_seq)
            if self._timer is None and not self._writing:
                self._timer = self._clock.call_later(AGAIN_S if self._kept else FLUSH_S, self._flush)
        return news

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._writing:
            self._writing = True
            self._tasks.spawn(self._write(), name="logs of streams")

    async def _write(self) -> None:
        """Write what there is, and what has come meanwhile, for as long as the store takes it."""
        try:
            while True:
                news, self._news = self._all(), {}
                await self._write_all(news)
                if not self._news or self._kept:
                    break
        finally:
            self._writing = False
            for one in self._news.values():
                one.wait_no_longer()
            if (self._kept or self._news) and not self._closed:
                self._timer = self._clock.call_later(AGAIN_S, self._flush)

    def _all(self) -> dict[str, _News]:
        """What was kept, and what is new behind it."""
        whole, self._kept, self._kept_bytes = self._kept, {}, 0
        for log_id, news in self._news.items():
            kept = whole.get(log_id)
            if kept is None or kept.next_seq != news.first_seq:  # what is missing between them was given up
                whole[log_id] = news
            else:
                kept.go_on(news)
        return whole

    async def _write_all(self, news: dict[str, _News]) -> None:
        try:
            while news:
                parts = _parts(news)
                await self._store.append(parts)
                for part in parts:
                    if news[part.log_id].has_been_written(len(part.events)):
                        news.pop(part.log_id).wait_no_longer()
        except StoreUnavailable as failure:
            self._log.debug("streams are not written for other processes yet", cause=str(failure))
            self._keep(news)
        finally:
            for one in news.values():
                one.wait_no_longer()

    def _keep(self, news: Mapping[str, _News]) -> None:
        """Say these again later; the oldest go where they are too many."""
        self._kept = dict(news)
        for one in self._kept.values():
            one.kept_bytes = sum(map(len, one.events))
            self._kept_bytes += one.kept_bytes
        for one in self._kept.values():
            if self._kept_bytes <= MOST_KEPT_BYTES:
                break
            self._kept_bytes -= one.kept_bytes
            one.let_go()
        for log_id in tuple(self._kept)[:-MOST_KEPT]:
            self._kept_bytes -= self._kept.pop(log_id).kept_bytes


def _parts(news: Mapping[str, _News]) -> Sequence[LogPart]:
    """As much of the news, from its beginning on, as one call takes; one event in any case."""
    parts: list[LogPart] = []
    size = events = 0
    for log_id, one in news.items():
        count = 0
        for event in one.events:
            if events == MOST_EVENTS or (events and size + len(event) > MOST_BYTES):
                break
            count, events, size = count + 1, events + 1, size + len(event)
        if not count and (one.events or events == MOST_EVENTS):
            break
        events += not count
        parts.append(one.part(log_id, count))
        if count < len(one.events):
            break
    return parts
