"""One generation: the log of its numbered events, and everybody who reads it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from llm_service.domain import (
    TERMINAL,
    CostSource,
    Event,
    Head,
    LLMServiceError,
    LocalFailure,
    Outcome,
    Reply,
    Sink,
    StreamCancelled,
    StreamInterrupted,
    Subscription,
)
from llm_service.streams.kept import ReadyReply

LEFT: Final = "The stream was cancelled before its answer was complete: its last reader had left."
ABORTED: Final = Outcome(status="aborted")


class Generation:
    """The answer of one upstream call, for as many readers as like: whoever asked for it, who joined, who resumes.

    Its events are kept, up to ``max_bytes`` of them; beyond that the oldest go, and a reader that has not had them is
    cut off. The upstream is read at the pace of the fastest reader. ``finish``: it goes on when nobody reads.

    The one request whose account pays for it leads: its reading is never cut off, and stays, in silence, when its
    client leaves while others read. The end of the answer goes to all others when that account is closed.
    """

    __slots__ = (
        "_beginning", "_bytes", "_cancelled", "_elsewhere", "_events", "_failure_here", "_finish", "_first", "_full",
        "_holds", "_max_bytes", "_on_deserted", "_paused", "_readings", "_reply", "_source", "cost_source", "epochs",
        "head", "is_stale", "log", "nano_usd", "outcome", "settled", "whole",
    )  # fmt: skip

    def __init__(
        self,
        *,
        max_bytes: int,
        finish: bool = False,
        elsewhere: "Elsewhere | None" = None,
        log: tuple[str, str] | None = None,
    ) -> None:
        """``elsewhere``: other processes may read it as well; ``log``: by which name, and whose it is."""
        self.log = log
        self.head: Head | None = None
        self.whole: bytes | None = None
        self.outcome: Outcome | None = None
        self.settled = False
        self.is_stale = False  # a kept answer in place of one that could not be had
        self.epochs: tuple[int, ...] = ()  # of the look-up before it, where others may join it
        self.nano_usd = 0
        self.cost_source: CostSource = "none"
        self._max_bytes = max_bytes
        self._finish = int(finish)  # of how many it is the wish
        self._elsewhere = elsewhere
        self._events: list[Event] = []
        self._first = 1
        self._bytes = 0
        self._readings: list[Reading] = []
        self._holds = 1  # who has not begun to read; first of all who leads
        self._source: Subscription | None = None
        self._reply: Reply | None = None
        self._beginning: asyncio.Future[None] | None = None
        self._on_deserted: asyncio.Task[None] | None = None
        self._cancelled: LLMServiceError | None = None
        self._failure_here: LLMServiceError | None = None
        self._paused = False
        self._full = False

    # -- what is known of it

    @property
    def begun(self) -> bool:
        """Whether there is an answer, or a part of one."""
        return self.head is not None

    @property
    def bytes(self) -> int:
        """What its events hold."""
        return self._bytes

    @property
    def last_seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._first + len(self._events) - 1

    @property
    def events(self) -> Sequence[Event] | None:
        """All events, ``None`` when the oldest are gone."""
        return self._events if self._first == 1 else None

    @property
    def given_up(self) -> bool:
        """Whether it was cancelled, by its owner or when its last reader had left: nobody new is to share that."""
        return self.outcome is not None and self.outcome.status == "aborted"

    @property
    def deserted(self) -> bool:
        """Whether nobody reads it or waits to."""
        return not self._holds and all(reading.silent for reading in self._readings)

    def keeps(self, after: int) -> bool:
        """Whether a reader that has had the events up to ``after`` can go on."""
        return after + 1 >= self._first

    @property
    def is_copy(self) -> bool:
        """Whether another process makes it."""
        return self.log is not None and self._elsewhere is None

    def may_have(self, seq: int) -> bool:
        """Whether it has had an event of this number; of a copy, which gets them late, that is not known."""
        return self.is_copy or seq <= self.last_seq

    # -- who leads

    async def told(self) -> None:
        """Others elsewhere can know that its account is closed."""
        if self._elsewhere is not None:
            await self._elsewhere.ended(self)

    def begin(self, reply: Reply, *, as_events: bool) -> None:
        """The answer begins: as events, or it is there as a whole, which others get when the account is closed."""
        self.head = reply.head
        self.whole = reply.whole
        if self._on_deserted is not None:  # who leads is there again, to read in silence
            self._on_deserted = None
            self._holds += 1
        if not as_events:
            self.outcome = reply.outcome
            return
        if self._elsewhere is not None:
            self._elsewhere.begun(reply.head)
        self._reply = reply
        source = reply.attach(self)
        if self.outcome is None:
            self._source = source
            self._pace()
            if self._cancelled is not None:
                self._cut(self._cancelled)
        if self.whole is None:
            self._wake()

    def close(self, outcome: Outcome, *, nano_usd: int = 0, cost_source: CostSource = "none") -> None:
        """The account of who leads is closed; with it ends what never began, or was given up."""
        self.settled = True
        self.nano_usd = nano_usd
        self.cost_source = cost_source
        if self.outcome is not None and self.outcome.status == "ok" and outcome.error is not None:
            self._spoil(outcome, outcome.error.again())
        if self.outcome is None:
            error = (self._cancelled or outcome.error or StreamCancelled(LEFT)).again()  # without its frames
            self._cut(error, replace(outcome, error=None if outcome.error is None else error))
        self._wake()
        for reading in tuple(self._readings):
            self._feed(reading)

    def leave_to_others(self, task: "asyncio.Task[None]") -> bool:
        """The client of who leads has gone before the beginning: whether the task is to go on for others.

        It is cancelled when the last of them leaves.
        """
        self._holds -= 1
        if self._holds == 0 and not self._finish and self._elsewhere is None:
            return False
        self._on_deserted = task
        self._mind_desertion()
        return True

    # -- who joins

    def join(self, *, finish: bool = False) -> None:
        """Wait for it as well. ``finish``: from now on it goes on when nobody reads."""
        self._holds += 1
        self._finish += finish

    def leave(self) -> None:
        """Wait for it no longer."""
        self._holds -= 1
        self._mind_desertion()
        if self._full:
            self._shorten()

    async def beginning(self) -> None:
        """Until there are events, or the account is closed."""
        if self.settled or (self.begun and self.whole is None):
            return
        if self._beginning is None:
            self._beginning = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._beginning)

    def reply(self, *, leads: bool = False) -> Reply:
        """Its events as a reply; who asks leads or has joined, and leaves with the reply."""
        if self.whole is not None and self.head is not None and self.outcome is not None and not self._events:
            self.leave()
            return ReadyReply(self.head, self.outcome, whole=self.whole)
        return LoggedReply(self, leads=leads)

    def read(self, sink: Sink, *, after: int = 0, leads: bool = False) -> "Reading":
        """Send the events after number ``after`` to the sink, from now on."""
        reading = Reading(self, sink, after, leads=leads)
        self._readings.append(reading)
        self._feed(reading)
        self._pace()
        return reading

    def disown(self, error: LLMServiceError, *, finish: bool) -> None:
        """One of its owners does not want it any more: it goes on for the others, else it ends with this error.

        ``finish``: that it goes on when nobody reads was this one's wish too. What others elsewhere may read ends in a
        moment.
        """
        self._finish -= finish
        if self._finish:
            return
        if self._elsewhere is not None:
            self._mind_desertion()
        elif self.deserted:
            self.cancel(error)

    def give_up(self) -> None:
        """Nobody reads it any more: end it, if that is still so."""
        if self.deserted and not self._finish:
            self.cancel(StreamCancelled(LEFT))

    def break_off(self, error: LLMServiceError) -> None:
        """What was copied here comes to no end: whoever made it is gone."""
        self.close(Outcome(status="error", error=error))

    def cancel(self, error: LLMServiceError) -> None:
        """End it for everybody, with this error; one that is waited for, as soon as it begins or its leader fails."""
        if self.outcome is not None:
            return
        self._cancelled = error
        if self._on_deserted is not None:
            self._on_deserted.cancel()
        if self.begun or self.deserted:
            self._cut(error)

    # -- the provider's side

    def write(self, batch: Sequence[Event]) -> None:
        """The events of one socket read."""
        if self._elsewhere is not None:
            self._elsewhere.write(batch)
        self._events.extend(batch)
        for event in batch:
            self._bytes += len(event.raw)
        before, last = batch[0].seq - 1, batch[-1]
        for reading in tuple(self._readings):
            if reading.paused or reading.ended:
                continue
            if reading.at == before and (reading.leads or last.kind not in TERMINAL):
                reading.at = last.seq
                reading.sink.write(batch)
            else:
                self._feed(reading)
        for event in batch:
            event.forget_chunk()
        if self._bytes > self._max_bytes:
            self._shorten()

    def end(self, outcome: Outcome) -> None:
        """Nothing follows."""
        self.outcome = outcome
        self._source = self._reply = None
        for reading in tuple(self._readings):
            if reading.leads:
                reading.paused = False
                self._feed(reading)
            elif self.settled:
                self._feed(reading)

    # -- inside

    def _cut(self, error: LLMServiceError, outcome: Outcome | None = None) -> None:
        """Let the provider go, and end with an error."""
        source, self._source = self._source, None
        if source is not None:
            source.detach()
        if outcome is None:
            outcome = (None if self._reply is None else self._reply.outcome) or ABORTED
        if self.is_copy:  # its maker's log has something else at the next number, or will have
            self._fail_here(error)
        else:
            self.write((Event(self.last_seq + 1, b"", "error", error=error),))
        self.end(outcome)

    def _fail_here(self, error: LLMServiceError) -> None:
        """In place of what is still to be copied, for all who read it here now or later."""
        self._failure_here = error
        for reading in tuple(self._readings):
            self._feed(reading)
            if not reading.ended:
                self._drop(reading)
                reading.sink.write((LocalFailure(reading.at, error),))
                reading.sink.end(Outcome(status="error", error=error))

    def _spoil(self, outcome: Outcome, error: LLMServiceError) -> None:
        """The account of a good answer could not be closed: in place of its end others get that."""
        while self._events and self._events[-1].kind in TERMINAL:
            self._bytes -= len(self._events.pop().raw)
        self._events.append(Event(self.last_seq + 1, b"", "error", error=error))
        self.outcome = replace(outcome, error=error)

    def _wake(self) -> None:
        if self._beginning is not None and not self._beginning.done():
            self._beginning.set_result(None)

    def _feed(self, reading: "Reading") -> None:
        """Give a reading what it has not had."""
        if not reading.takes():
            return
        if not self.keeps(reading.at):
            self._lose(reading)
            return
        may_end = reading.leads or self.settled
        events = self._events[reading.at + 1 - self._first :]
        if not may_end:
            events = [event for event in events if event.kind not in TERMINAL]
        if events:
            reading.at = events[-1].seq
            reading.sink.write(events)
        if self.outcome is not None and may_end and reading.takes():
            self._drop(reading)
            if self._failure_here is not None:
                reading.sink.write((LocalFailure(reading.at, self._failure_here),))
            reading.sink.end(self.outcome)

    def _lose(self, reading: "Reading") -> None:
        error = StreamInterrupted("The stream was read too slowly: what comes next is no longer kept.")
        self._drop(reading)
        reading.sink.write((LocalFailure(reading.at, error),))
        reading.sink.end(Outcome(status="error", error=error))
        self._mind_desertion()

    def _drop(self, reading: "Reading") -> None:
        reading.ended = True
        self._readings.remove(reading)

    def _shorten(self) -> None:
        """Let the oldest events go, but none that who leads, or is about to read, has not had: the upstream waits."""
        needed = min((reading.at for reading in self._readings if reading.leads), default=self.last_seq)
        if self._holds:
            needed = 0
        count = 0
        while self._bytes > self._max_bytes and self._first + count <= needed:
            self._bytes -= len(self._events[count].raw)
            count += 1
        del self._events[:count]
        self._first += count
        self._full = self._bytes > self._max_bytes
        self._pace()

    def _pace(self) -> None:
        """Read from the upstream while somebody takes it, or it is to be finished for nobody."""
        reading = [one for one in self._readings if not one.silent]
        paused = self._full or (bool(reading) and all(one.paused for one in reading))
        if paused == self._paused or self._source is None:
            return
        self._paused = paused
        if paused:
            self._source.pause()
        else:
            self._source.resume()

    def _mind_desertion(self) -> None:
        if not self.deserted or self._finish or self.outcome is not None:
            return
        if self._elsewhere is None:
            self.give_up()
        else:
            self._elsewhere.deserted(self)

    def _moved_on(self, reading: "Reading") -> None:
        """A reading that had paused goes on."""
        self._feed(reading)
        if self._full:
            self._shorten()
        self._pace()

    def _left(self, reading: "Reading") -> bool:
        """A reader is gone. Whether its reading stays, in silence: it leads, and others read."""
        if reading.ended:
            return False
        others = self._holds > 0 or any(not one.silent for one in self._readings if one is not reading)
        if reading.leads and self.outcome is None and (others or self._finish or self._elsewhere is not None):
            reading.silent = True
            reading.paused = False
            self._moved_on(reading)
            self._mind_desertion()
            return True
        self._drop(reading)
        self._mind_desertion()
        self._pace()
        return False


class Elsewhere(Protocol):
    """What other processes are told of a generation, and may want of it."""

    def begun(self, head: Head) -> None:
        """It has begun."""

    def write(self, batch: Sequence[Event]) -> None:
        """Its next events."""

    def deserted(self, generation: Generation) -> None:
        """Nobody reads it here: ``give_up`` is to be called when nobody does elsewhere either."""

    async def ended(self, generation: Generation) -> None:
        """Its account is closed; returns when others can know, or cannot be told."""


class Reading:
    """One reader's hold on a generation. ``at``: the number of the last event that it has had."""

    __slots__ = ("_generation", "at", "ended", "leads", "paused", "silent", "sink")

    def __init__(self, generation: Generation, sink: Sink, at: int, *, leads: bool) -> None:
        self._generation = generation
        self.sink = sink
        self.at = at
        self.leads = leads
        self.paused = False
        self.silent = False
        self.ended = False

    def takes(self) -> bool:
        """Whether its sink takes more now."""
        return not self.paused and not self.ended

    def pause(self) -> None:
        """Send nothing for now. Who leads gets the end all the same: others wait until its account is closed."""
        if self.leads and self._generation.outcome is not None:
            return
        self.paused = True
        self._generation._pace()

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        self._generation._moved_on(self)

    def detach(self) -> bool:
        """The reader is gone; see :class:`Subscription`."""
        return self._generation._left(self)


class LoggedReply(Reply):
    """A generation as one of its readers sees it."""

    __slots__ = ("_generation", "_held", "_leads", "head", "whole")

    def __init__(self, generation: Generation, *, leads: bool) -> None:
        if generation.head is None:
            raise ValueError("the generation has not begun")
        self.head = generation.head
        self.whole = None
        self._generation = generation
        self._leads = leads
        self._held = True

    @property
    def outcome(self) -> Outcome | None:  # type: ignore[override]
        """How the generation ended."""
        return self._generation.outcome

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        """Read it, from now on."""
        reading = self._generation.read(sink, after=after, leads=self._leads)
        self._let_go()
        return reading

    async def aclose(self) -> None:
        """Leave it."""
        self._let_go()

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self._generation.leave()
