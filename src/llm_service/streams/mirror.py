"""Generations of other processes: their logs are read, and give a generation here that others can read as theirs."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from llm_service.domain import (
    EventKind,
    KeptAnswer,
    LLMServiceError,
    Outcome,
    Reply,
    Sink,
    StreamInterrupted,
    Subscription,
)
from llm_service.runtime import Clock, Tasks
from llm_service.storage import Flight, LogRead, StoreUnavailable, StreamStore
from llm_service.streams.codec import end_of, event_of, head_of
from llm_service.streams.generation import Generation
from llm_service.streams.inbox import LOOK_S, Inbox
from llm_service.streams.kept import ready_reply

MOST_LOOK_S: Final = 0.1
"""The longer nothing comes, the more seldom one looks: news is late by a quarter of the silence before it at most."""
NO_EVENTS: Final = 2**31
"""Whoever reads from there on counts as a reader, and gets nothing."""
DOUBT_S: Final = 1.0
"""After so long without news one asks whether the writer still lives."""
AWAY_S: Final = 5.0
"""For so long a store that is away is asked again: longer than a replica takes that comes in place of its primary."""
GONE: Final = "The process that made this answer has ended before the answer was complete."
LOST: Final = "A part of this stream has been lost on its way between the processes of the service."

Lives = Callable[[str], Awaitable[bool]]
Over = Callable[[Generation], None]
Find = Callable[[], Awaitable[KeptAnswer | None]]


class Gone(Protocol):
    """Whether a log is written no more. ``known``: the store has it."""

    async def __call__(self, *, known: bool) -> bool:
        """Raises StoreUnavailable."""


class Mirrors:
    """Copies of logs, one for each, for as long as somebody here reads it."""

    def __init__(self, store: StreamStore, lives: Lives, *, clock: Clock, tasks: Tasks, max_bytes: int) -> None:
        self._store = store
        self._lives = lives
        self._clock = clock
        self._tasks = tasks
        self._max_bytes = max_bytes
        self._inbox = Inbox(store, clock=clock, tasks=tasks)
        self._copies: dict[str, tuple[Generation, list[Over]]] = {}

    def of_log(self, log_id: str, holder: str, over: Over | None = None, *, finish: bool = False) -> Generation:
        """The generation that a log tells of; whoever asks joins it. ``over`` is told when it has ended here.

        ``finish``: it is read on when nobody here does, and so goes on there.
        """
        copy, overs = self._copies.get(log_id) or (None, [])
        if copy is None or copy.deserted or copy.outcome is not None:
            copy, overs = Generation(max_bytes=self._max_bytes, finish=finish, log=(log_id, holder)), []
            self._copies[log_id] = copy, overs
            self._tasks.spawn(self._follow(copy, log_id, holder, overs), name="copy of a stream")
        else:
            copy.join(finish=finish)
        if over is not None:
            overs.append(over)
        return copy

    def of_flight(self, flight: Flight, digest: bytes, find: Find, over: Over, *, finish: bool = False) -> Generation:
        """The whole answer that a flight is to give: ``find`` looks for it when the flight is over; as above."""
        copy = Generation(max_bytes=self._max_bytes, finish=finish)
        self._tasks.spawn(self._wait(copy, flight, digest, find, over), name="wait for another process")
        return copy

    def cut(self, error: LLMServiceError) -> None:
        """End all copies that are read, with this error."""
        for copy, _ in tuple(self._copies.values()):
            if copy.outcome is None:
                copy.break_off(error)

    async def _follow(self, copy: Generation, log_id: str, holder: str, overs: Sequence[Over]) -> None:
        try:
            await _Follower(self._inbox, copy, log_id, self._clock, self._doubts(holder)).run()
        except (StoreUnavailable, ValueError):  # ValueError: nobody of ours has written that
            copy.break_off(StreamInterrupted(LOST))
        finally:
            if self._copies.get(log_id, (None,))[0] is copy:
                del self._copies[log_id]
            for over in overs:
                over(copy)
            if not copy.settled:
                copy.close(copy.outcome or Outcome(status="aborted"))

    async def _wait(self, copy: Generation, flight: Flight, digest: bytes, find: Find, over: Over) -> None:
        gone, look_s = self._doubts(flight.holder), LOOK_S
        try:
            while copy.outcome is None and await self._store.flight(digest) == flight and not await gone(known=True):
                await self._inbox.read(flight.log_id, after=NO_EVENTS)
                await self._inbox.moment(int(look_s / LOOK_S))
                look_s = min(look_s * 1.25, MOST_LOOK_S)
            answer = await find() if copy.outcome is None else None
            if answer is not None:
                copy.begin(ready_reply(answer, as_events=False), as_events=False)
                copy.close(Outcome(status="ok"), nano_usd=answer.nano_usd, cost_source=answer.cost_source)
        except StoreUnavailable:
            pass  # whoever waits asks by itself
        finally:
            over(copy)
            if not copy.settled:
                copy.close(Outcome(status="error"))

    def _doubts(self, holder: str) -> Gone:
        """Something to ask whether a log is written no more; it asks the store now and then.

        Its writer has ended, or the log is not ``known``: every log is there as soon as its generation is.
        """
        asked_at = self._clock.monotonic()

        async def gone(*, known: bool) -> bool:
            nonlocal asked_at
            now = self._clock.monotonic()
            if now - asked_at < DOUBT_S:
                return False
            asked_at = now
            return not known or not await self._lives(holder)

        return gone


class _Follower(Reply):
    """Reads one log into a generation; also the reply that this has as its source."""

    __slots__ = (
        "_after", "_clock", "_copy", "_gone", "_inbox", "_last_kind", "_log_id", "_sink", "head", "outcome", "whole",
    )  # fmt: skip

    def __init__(
        self,
        inbox: Inbox,
        copy: Generation,
        log_id: str,
        clock: Clock,
        gone: Gone,
    ) -> None:
        self.whole = None
        self.outcome = None
        self._inbox = inbox
        self._copy = copy
        self._log_id = log_id
        self._clock = clock
        self._gone = gone
        self._after = 0
        self._last_kind: EventKind = "chunk"
        self._sink: Sink | None = None

    async def run(self) -> None:
        """Until the log ends, its writer is gone, or nobody reads the copy."""
        look_s = LOOK_S
        while (read := await self._read()) is not None:
            took = self._take(read)
            if self._is_left():
                return
            if took and read.more:
                continue
            if read.end or read.cut:
                self._finish(read.end, cut=read.cut)
            elif not took and await self._gone(known=bool(read.holder)):
                self._copy.break_off(StreamInterrupted(GONE))
            else:
                look_s = LOOK_S if took else min(look_s * 1.25, MOST_LOOK_S)
                await self._inbox.moment(int(look_s / LOOK_S))

    async def _read(self) -> LogRead | None:
        """What is new; nothing when nobody reads the copy. Raises StoreUnavailable when the store stays away."""
        until = self._clock.monotonic() + AWAY_S
        while not self._is_left():
            try:
                read = await self._inbox.read(self._log_id, after=self._after)
            except StoreUnavailable:
                if self._clock.monotonic() >= until:
                    raise
                await self._inbox.moment()
            else:
                return None if self._is_left() else read
        return None

    def _is_left(self) -> bool:
        return self._copy.outcome is not None

    def _take(self, read: LogRead) -> bool:
        """Give the copy what is new. Whether there was something."""
        if not (read.head and read.events):
            return False
        events = [event_of(data, self._after + n) for n, data in enumerate(read.events, 1)]
        if self._sink is None:
            self.head = head_of(read.head)
            self._copy.begin(self, as_events=True)
        self._after, self._last_kind = events[-1].seq, events[-1].kind
        if self._sink is not None:
            self._sink.write(events)
        return True

    def _finish(self, end: bytes, *, cut: bool) -> None:
        copy = self._copy
        if cut:
            copy.break_off(StreamInterrupted(LOST))
            return
        self.outcome, nano_usd, cost_source = end_of(end)
        if copy.begun:
            copy.end(self._told_by_events(self.outcome))
        elif self.outcome.status == "ok":
            raise ValueError("an answer without a head")
        copy.close(self.outcome, nano_usd=nano_usd, cost_source=cost_source)

    def _told_by_events(self, outcome: Outcome) -> Outcome:
        """How the answer ended; where no event tells an error, it is that its account could not be closed."""
        good = self._last_kind != "error" and outcome.error is not None
        return replace(outcome, status="ok", error=None) if good else outcome

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """The generation takes what is read."""
        self._sink = sink
        return self

    def pause(self) -> None:
        """Copies are read at the pace of their writer, within the bound of a log."""

    def resume(self) -> None:
        """Nothing was paused."""

    def detach(self) -> bool:
        """Nobody reads the copy."""
        self._sink = None
        return False

    async def aclose(self) -> None:
        """Nothing is left to be given up."""
