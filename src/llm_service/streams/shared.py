"""What the processes of a deployment do together: one generation for all, whichever of them its readers come to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final
from weakref import WeakSet

import orjson

from llm_service.domain import CacheUnavailable, Event, Head, LLMServiceError, Outcome
from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks
from llm_service.storage import Bulletin, Flight, LogAsk, LogRead, StoreUnavailable, StreamStore
from llm_service.streams.cancels import Cancels
from llm_service.streams.generation import Generation
from llm_service.streams.mirror import AWAY_S, NO_EVENTS, Find, Lives, Mirrors
from llm_service.streams.outbox import FLUSH_S, Outbox
from llm_service.streams.stream import Stream

CANCEL_TOPIC: Final = "cancelled-stream"
LATER_S: Final = 0.5
LOOKS: Final = 10
"""So often one looks for a log, a few times as long as it takes to write of one that has just begun."""
MOST_UNLANDED: Final = 1000
PUBLISHES_FOR_S: Final = 60.0
MOST_PUBLISHING: Final = 1000
"""So many streams, each for so long, are said again to a store that is away."""
DOUBTFUL_S: Final = 2.0
"""So long after it was away a stream may still be on its way there from the process that it runs in."""
ASK_S: Final = 0.25
"""How often it is asked whether somebody elsewhere reads what nobody reads here."""

Stands = Callable[[Flight], Awaitable[bool]]
"""Whether a flight's answer may still be shared; see CacheStore."""


class SharedStreams:
    """The way to the other processes' generations, and theirs to ours. ``holder`` names this process."""

    def __init__(
        self,
        store: StreamStore,
        *,
        holder: str,
        lives: Lives,
        bulletin: Bulletin,
        max_bytes: int,
        clock: Clock,
        tasks: Tasks,
        log: Log,
    ) -> None:
        self._store = store
        self._holder = holder
        self._lives = lives
        self._bulletin = bulletin
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._publishing: dict[str, asyncio.Task[None]] = {}
        self._flying: dict[str, Flight] = {}
        self._unlanded: dict[str, tuple[bytes, Flight]] = {}
        self._landing = False
        self._doubtful_until = -1.0
        self._minded: set[str] = set()
        self._found = WeakSet[Stream]()
        self._cancels = Cancels(store, clock=clock, tasks=tasks)
        self._outbox = Outbox(store, clock=clock, tasks=tasks, log=log)
        self._mirrors = Mirrors(store, lives, clock=clock, tasks=tasks, max_bytes=max_bytes)

    def generation(self, log_id: str, *, max_bytes: int, finish: bool, as_events: bool) -> Generation:
        """A generation that is made here, with its log; what comes whole is not written there."""
        line = Line(self._outbox, log_id, self)
        if as_events:
            self._outbox.open(log_id)
        return Generation(max_bytes=max_bytes, finish=finish, elsewhere=line, log=(log_id, self._holder))

    def close(self) -> None:
        """Write nothing more into logs."""
        self._outbox.close()

    # -- streams by their ids

    def publish(self, stream: Stream, *, ended: bool) -> None:
        """Let other processes know where a stream's events are, while it runs and for a while afterwards."""
        if ended:
            self._cancels.mind(stream.id, ended=True)
        if stream.generation is None or stream.generation.log is None:
            return
        log_id, holder = stream.generation.log
        facts = orjson.dumps({**stream.facts(), "log": log_id, "holder": holder, "at": self._holder})
        if not ended:
            self._cancels.mind(stream.id, ended=False)
        before = self._publishing.get(stream.id)
        work = self._publish(stream.id, facts, ended=ended, before=before)
        self._publishing[stream.id] = self._tasks.spawn(work, name="publish a stream")

    async def _publish(self, stream_id: str, facts: bytes, *, ended: bool, before: "asyncio.Task[None] | None") -> None:
        """One after the other, or the first would outlast the second."""
        try:
            if before is not None:
                await asyncio.wait({before})
            until = self._clock.monotonic() + PUBLISHES_FOR_S
            while not await self._is_put(stream_id, facts, ended=ended):
                superseded = self._publishing.get(stream_id) is not asyncio.current_task()
                late = self._clock.monotonic() >= until or len(self._publishing) > MOST_PUBLISHING
                if superseded or late:
                    return
                await self._clock.sleep(LATER_S)
        finally:
            if self._publishing.get(stream_id) is asyncio.current_task():
                del self._publishing[stream_id]

    async def _is_put(self, stream_id: str, facts: bytes, *, ended: bool) -> bool:
        try:
            await self._store.put_stream(stream_id, facts, ended=ended)
        except StoreUnavailable as failure:
            self._doubt()
            self._log.debug("a stream is not known to other processes yet", stream_id=stream_id, cause=str(failure))
            return False
        return True

    async def find(self, stream_id: str, *, owner: str) -> Stream | None:
        """An owner's stream in another process, with a copy of its generation, which the caller has joined.

        Raises CacheUnavailable: whether there is one cannot be known while the store is away, and a moment longer.
        """
        stream = await self._found_at_once(stream_id, owner=owner)
        if stream is None and self._clock.monotonic() < self._doubtful_until:
            raise _unknown(stream_id)
        return stream

    async def _found_at_once(self, stream_id: str, *, owner: str) -> Stream | None:
        try:
            facts: Any = orjson.loads(await self._store.get_stream(stream_id) or b"{}")
            log_id, holder = str(facts.pop("log")), str(facts.pop("holder"))
            at = str(facts.pop("at"))
            stream = Stream(**facts)
            stream.at = at
            if (stream.id, stream.owner) != (stream_id, owner) or not await self._is_there(log_id):
                return None
        except StoreUnavailable as away:
            self._doubt()
            raise _unknown(stream_id) from away
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # there is none, or it is of another version
        stream.generation = self._mirrors.of_log(log_id, holder)
        self._found.add(stream)
        return stream

    def _doubt(self) -> None:
        self._doubtful_until = self._clock.monotonic() + DOUBTFUL_S

    async def _is_there(self, log_id: str) -> bool:
        """Whether the log is still kept, or has just begun. Raises StoreUnavailable."""
        for _ in range(LOOKS):
            if (await self._look(log_id)).holder:
                return True
            await self._clock.sleep(FLUSH_S)
        return False

    async def runs(self, log_id: str) -> bool:
        """Whether a generation of another process has not ended, as far as is known."""
        try:
            return not (await self._look(log_id)).end
        except StoreUnavailable:
            return True

    async def _look(self, log_id: str) -> LogRead:
        """What is known of a log, for none of its readers. Raises StoreUnavailable."""
        (read,) = await self._store.read([LogAsk(log_id=log_id, after=NO_EVENTS, counts=False)])
        return read

    def cut_found(self, stream_id: str, error: LLMServiceError) -> None:
        """End a stream of another process for its readers here."""
        for stream in tuple(self._found):
            if stream.id == stream_id:
                stream.cut(error)

    def cut_copies(self, error: LLMServiceError) -> None:
        """End all that is read here of other processes' generations."""
        self._mirrors.cut(error)

    async def announce_cancelled(self, stream: Stream) -> None:
        """Let the processes in which a stream runs or is read end it: where it runs it is written besides."""
        try:
            if stream.at not in ("", self._holder):
                await self._store.cancel(stream.at, stream.id)
            await self._bulletin.publish(CANCEL_TOPIC, stream.id)
        except StoreUnavailable as failure:
            self._log.warning("a stream is not cancelled", stream_id=stream.id, cause=str(failure))

    def on_cancelled(self, cancel: Callable[[str], None]) -> None:
        """Call this with the ids of streams of ours that others want to end."""
        self._cancels.on_cancelled = cancel

    def hear_cancelled(self, stream_id: str, error: LLMServiceError) -> None:
        """Some stream was cancelled: it ends for its readers here, and perhaps it is one of ours."""
        self.cut_found(stream_id, error)
        self._cancels.look()

    # -- flights

    async def claim(
        self, digest: bytes, mine: Flight, *, seen_at: float | None = None, stands: Stands
    ) -> Flight | None:
        """The flight of a digest: this one, or another process's that lives and ``stands``.

        ``None``: another answer is kept by now than the one that the caller has seen, stored at ``seen_at``.
        Raises StoreUnavailable.
        """
        self._flying[mine.log_id] = mine  # before others here hear of it
        there = None
        try:
            there = await self._store.claim(digest, mine, seen_at=seen_at)
            if there is not None and there != mine and not (await self._flies(there) and await stands(there)):
                there = await self._store.claim(digest, mine, seen_at=seen_at, instead_of=there)
        except BaseException:
            self._land_later(digest, mine)  # it may have been written all the same
            raise
        finally:
            if there != mine:
                self._flying.pop(mine.log_id, None)
        return there

    async def flies(self, digest: bytes, *, stands: Stands) -> bool:
        """Whether there is a flight of a digest that would be followed now, as far as is known; claims nothing."""
        try:
            there = await self._store.flight(digest)
        except StoreUnavailable:
            return False
        return there is not None and await self._flies(there) and await stands(there)

    async def _flies(self, flight: Flight) -> bool:
        """Whether somebody is about to answer it."""
        if flight.holder == self._holder:
            return flight.log_id in self._flying
        return await self._lives(flight.holder)

    def flight(self, log_id: str, *, as_events: bool, groups: Sequence[str], epochs: tuple[int, ...]) -> Flight:
        """One of ours, to be claimed."""
        return Flight(log_id=log_id, holder=self._holder, as_events=as_events, groups=tuple(groups), epochs=epochs)

    def is_ours(self, flight: Flight) -> bool:
        """Whether this process leads it."""
        return flight.holder == self._holder

    def follow(
        self,
        flight: Flight,
        digest: bytes,
        find: Find,
        flights: dict[bytes, Generation],
        *,
        as_events: bool,
        finish: bool,
    ) -> Generation:
        """A generation here of another process's flight, among ``flights`` as long; whoever asks has joined it.

        ``finish``: this one wants it to go on when nobody reads. A copy that does so counts as a reader elsewhere.
        """
        over = partial(_forget, flights, digest)
        if flight.as_events and as_events:
            copy = self._mirrors.of_log(flight.log_id, flight.holder, over=over, finish=finish)
        else:
            copy = self._mirrors.of_flight(flight, digest, find, over=over, finish=finish)
        copy.groups, copy.epochs = flight.groups, flight.epochs
        return copy

    async def land(self, digest: bytes, log_id: str) -> None:
        """A flight of ours is over."""
        mine = self._flying.pop(log_id, None)
        if mine is None:
            return
        try:
            await self._store.land(digest, mine)
        except BaseException as failure:
            self._land_later(digest, mine)
            if not isinstance(failure, StoreUnavailable):
                raise

    def _land_later(self, digest: bytes, mine: Flight) -> None:
        """Others must not wait for what is over."""
        self._unlanded[mine.log_id] = digest, mine
        for log_id in tuple(self._unlanded)[:-MOST_UNLANDED]:
            del self._unlanded[log_id]
        if not self._landing:
            self._landing = True
            self._tasks.spawn(self._land_all(), name="ends of flights")

    async def _land_all(self) -> None:
        try:
            while self._unlanded:
                await self._clock.sleep(LATER_S)
                with suppress(StoreUnavailable):  # then once more
                    for log_id, (digest, mine) in tuple(self._unlanded.items()):
                        await self._store.land(digest, mine)
                        self._unlanded.pop(log_id, None)
        finally:
            self._landing = False

    # -- readers elsewhere

    def mind(self, generation: Generation, log_id: str) -> None:
        """Give a generation up when nobody elsewhere reads it either."""
        if log_id not in self._minded:
            self._minded.add(log_id)
            self._tasks.spawn(self._mind(generation, log_id), name="readers elsewhere")

    async def _mind(self, generation: Generation, log_id: str) -> None:
        try:
            while generation.outcome is None and generation.deserted:
                if not await self._may_be_read(log_id):
                    generation.give_up()
                    return
                await self._clock.sleep(ASK_S)
        finally:
            self._minded.discard(log_id)

    async def _may_be_read(self, log_id: str) -> bool:
        try:
            return await self._store.is_read(log_id)
        except StoreUnavailable:
            return await self._is_back(log_id)

    async def _is_back(self, log_id: str) -> bool:
        """Whether a store that is away returns within the time in which readers elsewhere wait for it.

        Their marks are gone by then: who asks whether it is read gives them a moment to look again.
        """
        until = self._clock.monotonic() + AWAY_S
        while self._clock.monotonic() < until:
            await self._clock.sleep(ASK_S)
            with suppress(StoreUnavailable):  # then once more
                await self._look(log_id)
                return True
        return False


def _unknown(stream_id: str) -> CacheUnavailable:
    said = f"The stream `{stream_id}` cannot be looked up now, because the shared store does not answer. Try again."
    return CacheUnavailable(said, retry_after_s=1.0)


def _forget(flights: dict[bytes, Generation], digest: bytes, generation: Generation) -> None:
    if flights.get(digest) is generation:
        del flights[digest]


class Line:
    """A generation's way to its log."""

    __slots__ = ("_next_seq", "_outbox", "_shared", "log_id")

    def __init__(self, outbox: Outbox, log_id: str, shared: SharedStreams) -> None:
        self.log_id = log_id
        self._next_seq = 1  # in the log: its end may be replaced here by a shorter one
        self._outbox = outbox
        self._shared = shared

    def begun(self, head: Head) -> None:
        """It has begun."""
        self._outbox.head(self.log_id, head)

    def write(self, batch: Sequence[Event]) -> None:
        """Its next events."""
        self._next_seq = batch[-1].seq + 1
        self._outbox.events(self.log_id, batch)

    def deserted(self, generation: Generation) -> None:
        """Nobody reads it here."""
        self._shared.mind(generation, self.log_id)

    async def ended(self, generation: Generation) -> None:
        """Its account is closed; returns when others can know, or the store is away."""
        await self._outbox.end(
            self.log_id,
            generation.outcome or Outcome(status="aborted"),
            next_seq=self._next_seq,
            nano_usd=generation.nano_usd,
            cost_source=generation.cost_source,
        )
