"""A store of streams in memory, for tests of those who use it: it can be away, slow, and damaged."""

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_service.storage import Flight, LogAsk, LogPart, LogRead, StoreUnavailable
from tests.support.clock import ManualClock

COUNTS_S = 0.5


@dataclass
class KeptLog:
    holder: str
    events: list[bytes] = field(default_factory=list)
    head: bytes = b""
    end: bytes = b""
    cut: bool = False


class MemoryStreams:
    """Implements StreamStore. ``reads``: how often each log was read; ``read_calls``: how many at once.
    ``calls``: the parts of each append.

    By a clock who reads counts for a moment, without one for ever.
    """

    reach = "cluster"

    def __init__(self, *, holder: str = "other", at_once: int = 256, clock: ManualClock | None = None) -> None:
        self.is_away = False
        self.gate: asyncio.Event | None = None
        """Appends wait for it."""
        self.at_once = at_once
        self.appending = 0
        self.calls: list[Sequence[LogPart]] = []
        self.logs: dict[str, KeptLog] = {}
        self.flights: dict[bytes, Flight] = {}
        self.texts: dict[str, bytes] = {}
        self.reads: list[str] = []
        self.read_calls: list[int] = []
        self.cancels: dict[str, dict[str, None]] = {}
        self.readers: dict[str, float] = {}
        self._clock = clock
        self._holder = holder

    def seen_by(self, holder: str) -> "MemoryStreams":
        """The same store, as another process has it."""
        seen = copy.copy(self)
        seen._holder = holder
        return seen

    def _now(self) -> float:
        return 0.0 if self._clock is None else self._clock.monotonic()

    def _look(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away")

    async def append(self, parts: Sequence[LogPart]) -> None:
        self.appending += 1
        assert self.appending == 1, "one call at a time"
        try:
            if self.gate is not None:
                await self.gate.wait()
            self._look()
            self.calls.append(parts)
            for part in parts:
                self._append(part)
        finally:
            self.appending -= 1

    def _append(self, part: LogPart) -> None:
        log = self.logs.setdefault(part.log_id, KeptLog(self._holder))
        if log.end:
            return
        there = len(log.events) - part.first_seq + 1
        log.cut = log.cut or there < 0
        if not log.cut:
            log.events += part.events[there:]
        log.head, log.end = part.head or log.head, part.end

    async def read(self, asks: Sequence[LogAsk]) -> Sequence[LogRead]:
        self._look()
        self.read_calls.append(len(asks))
        return [self._read(ask) for ask in asks]

    def _read(self, ask: LogAsk) -> LogRead:
        self.reads.append(ask.log_id)
        if ask.counts:
            self.readers[ask.log_id] = self._now()
        log = self.logs.get(ask.log_id, KeptLog(""))
        events = log.events[ask.after : ask.after + self.at_once]
        more = len(events) == self.at_once
        return LogRead(holder=log.holder, head=log.head, end=log.end, cut=log.cut, events=events, more=more)

    async def is_read(self, log_id: str) -> bool:
        self._look()
        return log_id in self.readers and self._now() - self.readers[log_id] < COUNTS_S

    async def put_stream(self, stream_id: str, facts: bytes, *, ended: bool) -> None:
        self._look()
        self.texts[stream_id] = facts

    async def get_stream(self, stream_id: str) -> bytes | None:
        self._look()
        return self.texts.get(stream_id)

    async def cancel(self, holder: str, stream_id: str) -> None:
        self._look()
        self.cancels.setdefault(holder, {})[stream_id] = None

    async def cancelled(self, done: Sequence[str]) -> Sequence[str]:
        self._look()
        cancels = self.cancels.setdefault(self._holder, {})
        for stream_id in done:
            cancels.pop(stream_id, None)
        return [*cancels]

    async def claim(
        self, digest: bytes, mine: Flight, *, seen_at: float | None = None, instead_of: Flight | None = None
    ) -> Flight | None:
        self._look()
        there = self.flights.get(digest)
        if there is None or there == instead_of:
            self.flights[digest] = there = mine
        elif there != mine:
            self.readers[there.log_id] = self._now()
        return there

    async def flight(self, digest: bytes) -> Flight | None:
        self._look()
        return self.flights.get(digest)

    async def land(self, digest: bytes, mine: Flight) -> None:
        self._look()
        if self.flights.get(digest) == mine:
            del self.flights[digest]
