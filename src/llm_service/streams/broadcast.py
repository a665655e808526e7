"""A bounded log of events, and those who read it: each from where it likes, and at its own pace."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol

from llm_service.domain import (
    TERMINAL,
    Event,
    LLMServiceError,
    LocalFailure,
    Outcome,
    Sink,
    StreamInterrupted,
    Subscription,
    forget_chunks,
)

EVENT_BYTES: Final = 160
"""What an event takes beside the bytes of its text: 153 by what Python allocates, its place in the list among it."""


class Broadcast(ABC):
    """Events as they come, up to ``max_bytes`` of them kept; beyond that the oldest go.

    A reader that has not had what is gone is cut off. The source is read at the pace of the fastest reader. The end
    goes to whoever leads at once, and to all others when the account of that one is ``settled``.
    """

    __slots__ = (
        "_beside", "_bytes", "_events", "_failure_here", "_first", "_full", "_holds", "_max_bytes", "_paused",
        "_readings", "_source", "outcome", "settled",
    )  # fmt: skip

    def __init__(self, *, max_bytes: int, beside: "Copy | None" = None) -> None:
        """``beside``: is given all events before the readings are."""
        self.outcome: Outcome | None = None
        self._beside = beside
        self.settled = False
        self._max_bytes = max_bytes
        self._events: list[Event] = []
        self._first = 1
        self._bytes = 0
        self._readings: list[Reading] = []
        self._holds = 1  # who has not begun to read; first of all who leads
        self._source: Subscription | None = None
        self._failure_here: LLMServiceError | None = None
        self._paused = False
        self._full = False

    @abstractmethod
    def _goes_on_unread(self) -> bool:
        """Whether it goes on, or may, when nobody reads it here."""

    @abstractmethod
    def _mind_desertion(self) -> None:
        """A reader has gone: do what is to be done where that was the last one."""

    # -- what is known of it

    @property
    def bytes(self) -> int:
        """About how much memory its events take."""
        return self._bytes + EVENT_BYTES * len(self._events)

    @property
    def last_seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._first + len(self._events) - 1

    @property
    def events(self) -> Sequence[Event] | None:
        """All events, ``None`` when the oldest are gone."""
        return self._events if self._first == 1 else None

    @property
    def deserted(self) -> bool:
        """Whether nobody reads it or waits to."""
        return not self._holds and all(reading.silent for reading in self._readings)

    def keeps(self, after: int) -> bool:
        """Whether a reader that has had the events up to ``after`` can go on."""
        return after + 1 >= self._first

    # -- its readers

    def leave(self) -> None:
        """Wait for it no longer."""
        self._holds -= 1
        self._mind_desertion()
        if self._full:
            self._shorten()

    def read(self, sink: Sink, *, after: int = 0, leads: bool = False) -> "Reading":
        """Send the events after number ``after`` to the sink, from now on."""
        reading = Reading(self, sink, after, leads=leads)
        self._readings.append(reading)
        self._feed(reading)
        self._pace()
        return reading

    # -- its source

    def write(self, batch: Sequence[Event]) -> None:
        """The events of one socket read."""
        if self._beside is not None:
            self._beside.write(batch)
        self._events += batch
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
        forget_chunks(batch)
        if self._bytes > self._max_bytes:
            self._shorten()

    def end(self, outcome: Outcome) -> None:
        """Nothing follows."""
        self.outcome = outcome
        self._source = None
        for reading in tuple(self._readings):
            if reading.leads:
                reading.paused = False
                self._feed(reading)
            elif self.settled:
                self._feed(reading)

    # -- inside

    def _feed_all(self) -> None:
        for reading in tuple(self._readings):
            self._feed(reading)

    def _replace_end(self, error: LLMServiceError) -> None:
        """An error in place of the end."""
        while self._events and self._events[-1].kind in TERMINAL:
            self._bytes -= len(self._events.pop().raw)
        self._events.append(Event(self.last_seq + 1, b"", "error", error=error))

    def _fail_here(self, error: LLMServiceError) -> None:
        """In place of what is still to be copied, for all who read it here now or later."""
        self._failure_here = error
        for reading in tuple(self._readings):
            self._feed(reading)
            if not reading.ended:
                self._cut_off(reading, error)

    def _feed(self, reading: "Reading") -> None:
        """Give a reading what it has not had."""
        if not reading.takes():
            return
        if not self.keeps(reading.at):
            self._cut_off(
                reading, StreamInterrupted("The stream was read too slowly: what comes next is no longer kept.")
            )
            self._mind_desertion()
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

    def _cut_off(self, reading: "Reading", error: LLMServiceError) -> None:
        self._drop(reading)
        reading.sink.write((LocalFailure(reading.at, error),))
        reading.sink.end(Outcome(status="error", error=error))

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
        if reading.leads and self.outcome is None and (others or self._goes_on_unread()):
            reading.silent = True
            reading.paused = False
            self._moved_on(reading)
            self._mind_desertion()
            return True
        self._drop(reading)
        self._mind_desertion()
        self._pace()
        return False


class Copy(Protocol):
    """Who is given a copy of a broadcast, whoever reads it here."""

    def write(self, batch: Sequence[Event]) -> None:
        """Its next events."""


class Reading:
    """One reader's hold on a broadcast. ``at``: the number of the last event that it has had."""

    __slots__ = ("_broadcast", "at", "ended", "leads", "paused", "silent", "sink")

    def __init__(self, broadcast: Broadcast, sink: Sink, at: int, *, leads: bool) -> None:
        self._broadcast = broadcast
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
        if self.leads and self._broadcast.outcome is not None:
            return
        self.paused = True
        self._broadcast._pace()

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        self._broadcast._moved_on(self)

    def detach(self) -> bool:
        """The reader is gone; see :class:`Subscription`."""
        return self._broadcast._left(self)
