"""Stage: an answer that is there already is given again, one that is on its way is shared, else a new one begins."""

from collections.abc import Awaitable
from functools import partial
from typing import Final, Literal

from llm_service.cache import CachePlan, may_serve_on_error, served_as
from llm_service.domain import (
    CacheStatus,
    Event,
    Head,
    KeptAnswer,
    NoDeploymentAvailable,
    OnlyIfCachedMiss,
    Outcome,
    Overloaded,
    ProviderDisabled,
    Reply,
    StreamInterrupted,
    UpstreamError,
)
from llm_service.pipeline.alike import Alike
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.pipeline.refresh import Refreshing
from llm_service.pipeline.remember import MISSED, may_join
from llm_service.pipeline.standing import Standing
from llm_service.runtime import Clock
from llm_service.storage import CacheLook, CacheStore, StoreUnavailable
from llm_service.streams import Generation, ReadyReply, SharedStreams, Stream, Streams, collect, ready_reply

UNSERVED: Final = (UpstreamError, NoDeploymentAvailable, ProviderDisabled, Overloaded)
"""Where a stale answer is better than none: no provider answers, or none can be asked."""
MOST_JOINS: Final = 2
"""A request that has waited for so many generations in vain shares the last one's failure."""
MOMENT_S: Final = 0.005
MOST_MOMENTS: Final = 100
"""What is said to be there in a moment, and is not after so many of them, is not waited for."""


class Share:
    """Fills ``exchange.cache``, and ``exchange.generation`` for the one that leads."""

    def __init__(
        self, *, store: CacheStore, streams: Streams, max_bytes: int, clock: Clock, alike: Alike | None = None
    ) -> None:
        self._store = store
        self._streams = streams
        self._max_bytes = max_bytes
        self._clock = clock
        self._alike = alike
        self._standing = Standing(store)
        self._refreshing = Refreshing(streams, self._standing, clock)

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        """The kept answer, the one that a request like this has just asked for, or a new one.

        One coroutine at most for what nearly all requests are: alone, and of a cache that answers at once.
        """
        plan = exchange.plan
        if plan is None:
            alone = not (exchange.request.stream or exchange.finish or exchange.idempotency_key)
            return proceed(exchange) if alone else self._lead(exchange, None, proceed, kept=None)
        look = exchange.look or self._store.look(plan.digest, plan.groups)
        if not isinstance(look, CacheLook) or exchange.search is not None:
            return self._searched(exchange, plan, proceed, look)
        exchange.epochs, exchange.found = look.epochs, look.answer
        if look.answer is None and self._is_alone(exchange, plan):
            return self._lead(exchange, plan, proceed, kept=None)
        return self._known_or_new(exchange, plan, proceed, look.answer)

    def _is_alone(self, exchange: Exchange, plan: CachePlan) -> bool:
        """Whether a request for which nothing is kept surely has to lead."""
        streams = self._streams
        return streams.shared is None and plan.digest not in streams.flights and not exchange.control.only_if_cached

    async def _searched(
        self, exchange: Exchange, plan: CachePlan, proceed: Proceed, ahead: CacheLook | Awaitable[CacheLook]
    ) -> Reply:
        kept = await self._look(exchange, plan, ahead)
        if kept is None and self._alike is not None and exchange.search is not None:
            if (found := await self._alike.find(exchange, plan)) is not None:
                return self.give(exchange, found, "semantic")
            kept = await self._look(exchange, plan, None)  # that took its time: a request like this may have ended
        return await self._known_or_new(exchange, plan, proceed, kept)

    async def _known_or_new(
        self, exchange: Exchange, plan: CachePlan, proceed: Proceed, kept: KeptAnswer | None
    ) -> Reply:
        joins = moments = 0
        while True:
            if kept is not None and (reply := self._served(exchange, plan, kept)) is not None:
                return reply
            if exchange.control.only_if_cached:
                raise OnlyIfCachedMiss(MISSED)
            if not may_join(exchange, plan) or joins > MOST_JOINS or moments > MOST_MOMENTS:
                break
            generation = await self._in_flight(exchange, plan, seen=kept)
            if generation is None:
                break
            if generation != "again" and (reply := await self._joined(exchange, generation)) is not None:
                return reply
            if generation == "again" or generation.given_up:
                moments += 1
                await self._clock.sleep(MOMENT_S)
            else:
                joins += 1
                _share_failure(generation, last=joins == MOST_JOINS)
            kept = await self._look(exchange, plan, None)
        return await self._lead(exchange, plan, proceed, kept=kept)

    def _served(self, exchange: Exchange, plan: CachePlan, kept: KeptAnswer) -> Reply | None:
        """The kept answer, where it may be given."""
        serving = served_as(kept, plan, self._clock.time())
        if serving is None:
            return None
        if serving == "refreshed":
            exchange.refresh = self._refreshing.needed(plan, kept, exchange.epochs)
        return self.give(exchange, kept, "hit" if serving == "hit" else "stale")

    async def _look(
        self, exchange: Exchange, plan: CachePlan, ahead: CacheLook | Awaitable[CacheLook] | None
    ) -> KeptAnswer | None:
        """What is kept; ``ahead``: the look-up that was begun before."""
        look = ahead or self._store.look(plan.digest, plan.groups)
        if not isinstance(look, CacheLook):
            look = await look
        exchange.epochs, exchange.found = look.epochs, look.answer
        return look.answer

    # -- a new answer

    async def _lead(
        self, exchange: Exchange, plan: CachePlan | None, proceed: Proceed, *, kept: KeptAnswer | None
    ) -> Reply:
        generation = self._new_generation(exchange)
        if plan is not None and exchange.deadline is None:
            generation.groups, generation.epochs = plan.groups, exchange.epochs
            self._streams.flights[plan.digest] = generation
        if exchange.admit_in_full is not None:
            await exchange.admit_in_full(exchange)
        try:
            reply = await proceed(exchange)
        except UNSERVED:
            if kept is None or plan is None or not may_serve_on_error(kept, plan, self._clock.time()):
                raise
            reply = self._ready(exchange, kept, "stale")
            generation.is_stale = True
        return self._begun(exchange, generation, reply)

    def _new_generation(self, exchange: Exchange) -> Generation:
        shared = self._streams.shared
        if shared is None:
            generation = Generation(max_bytes=self._max_bytes, finish=exchange.finish)
        else:
            generation = shared.generation(
                exchange.id, max_bytes=self._max_bytes, finish=exchange.finish, as_events=exchange.request.stream
            )
        exchange.generation = generation
        if exchange.stream is not None:
            self._open_stream(exchange, exchange.stream, generation)
        return generation

    def _open_stream(self, exchange: Exchange, stream: Stream, generation: Generation) -> None:
        stream.generation = generation
        stream.finish = exchange.finish
        stream.cache = exchange.cache
        stream.pays = not exchange.is_free
        stream.attempts = int(stream.pays)
        self._streams.open(stream)
        if self._streams.shared is not None and exchange.kept is None:  # a kept answer is published when it ends
            self._streams.shared.publish(stream, ended=False)

    def _begun(self, exchange: Exchange, generation: Generation, reply: Reply) -> Reply:
        as_events = exchange.request.stream
        generation.begin(reply, as_events=as_events)
        if exchange.stream is not None:
            _tell_stream(exchange, exchange.stream, reply.head)
        return generation.reply(leads=True) if as_events else reply

    # -- an answer that is there

    def give(self, exchange: Exchange, kept: KeptAnswer, status: CacheStatus) -> Reply:
        """A kept answer as the reply; ``status`` says why."""
        reply = self._ready(exchange, kept, status)
        if not exchange.request.stream:
            return reply
        return self._begun(exchange, self._new_generation(exchange), reply)

    def _ready(self, exchange: Exchange, kept: KeptAnswer, status: CacheStatus) -> Reply:
        exchange.cache, exchange.kept = status, kept
        exchange.head_at = self._clock.monotonic()
        return ready_reply(kept, as_events=exchange.request.stream)

    # -- an answer that is on its way

    async def _in_flight(
        self, exchange: Exchange, plan: CachePlan, *, seen: KeptAnswer | None
    ) -> Generation | Literal["again"] | None:
        """The generation that answers this request too, which it has joined; ``None``: it has to lead.

        ``again``: an answer has been kept by now, or will be in a moment.
        """
        shared, flights = self._streams.shared, self._streams.flights
        generation = flights.get(plan.digest)
        if generation is None or not await self._standing.of(plan.digest, generation):
            return None if shared is None else await self._elsewhere(exchange, plan, shared, seen=seen)
        if generation.given_up or flights.get(plan.digest) is not generation:
            return "again"
        generation.join(finish=exchange.finish)
        return generation

    async def _elsewhere(
        self, exchange: Exchange, plan: CachePlan, shared: SharedStreams, *, seen: KeptAnswer | None
    ) -> Generation | Literal["again"] | None:
        """The same among processes: the generation that another one leads, or the claim to lead for all of them."""
        flights, as_events = self._streams.flights, exchange.request.stream
        before = flights.get(plan.digest)  # began before a purge, if there is one
        mine = shared.flight(exchange.id, as_events=as_events, groups=plan.groups, epochs=exchange.epochs)
        stands = partial(self._standing.of, plan.digest)
        try:
            there = await shared.claim(
                plan.digest, mine, seen_at=None if seen is None else seen.stored_at, stands=stands
            )
        except StoreUnavailable:  # each process coalesces by itself
            return None if flights.get(plan.digest) is before else "again"
        if there is None or (there != mine and (shared.is_ours(there) or not await stands(there))):
            return "again"
        if flights.get(plan.digest) is not before:  # somebody here was faster
            await shared.land(plan.digest, exchange.id)
            return "again"
        if there == mine:
            exchange.flies = True
            return None
        generation = flights[plan.digest] = shared.follow(
            there, plan.digest, partial(self._kept, plan), flights, as_events=as_events, finish=exchange.finish
        )
        return generation

    async def is_in_flight(self, exchange: Exchange, plan: CachePlan) -> bool:
        """Whether another request has asked for the very same, here or elsewhere, and this one would get its answer.

        Joins nothing, and claims nothing.
        """
        if not may_join(exchange, plan):
            return False
        generation = self._streams.flights.get(plan.digest)
        if generation is not None:
            return not generation.given_up and await self._standing.of(plan.digest, generation)
        shared = self._streams.shared
        stands = partial(self._standing.of, plan.digest)
        return shared is not None and await shared.flies(plan.digest, stands=stands)

    async def _kept(self, plan: CachePlan) -> KeptAnswer | None:
        look = self._store.look(plan.digest, plan.groups)
        return (look if isinstance(look, CacheLook) else await look).answer

    async def _joined(self, exchange: Exchange, generation: Generation) -> Reply | None:
        return await self.join(exchange, generation, "coalesced", joined=True)

    async def join(
        self, exchange: Exchange, generation: Generation, status: CacheStatus, *, joined: bool = False
    ) -> Reply | None:
        """The answer of this generation; ``None`` where it failed before it began."""
        before, exchange.cache = exchange.cache, status
        if not joined:
            generation.join(finish=exchange.finish)
        if exchange.stream is not None:
            self._open_stream(exchange, exchange.stream, generation)
        try:
            await generation.beginning()
        except BaseException:
            generation.leave()
            raise
        control = exchange.control
        wants_newer = generation.is_stale and (control.max_age_s is not None or control.min_fresh_s is not None)
        if not generation.begun or wants_newer:
            generation.leave()
            exchange.cache = before
            return None
        exchange.head_at = self._clock.monotonic()
        exchange.followed = generation
        return await self._follow(exchange, generation)

    async def _follow(self, exchange: Exchange, generation: Generation) -> Reply:
        head, whole, outcome = generation.head, generation.whole, generation.outcome
        if head is None:
            raise ValueError("a generation that has begun has a head")
        if whole is None or outcome is None:
            reply: Reply = generation.reply()
            if exchange.request.stream:
                if exchange.stream is not None:
                    _tell_stream(exchange, exchange.stream, head)
                return reply
            return await self._whole(exchange, generation, reply)
        generation.leave()
        if outcome.error is not None:  # the leader's account could not be closed
            raise outcome.error.again()
        ready = ReadyReply(head, _unpaid(outcome), whole=whole)
        if not exchange.request.stream:
            return ready
        return self._begun(exchange, self._new_generation(exchange), ready)

    async def _whole(self, exchange: Exchange, generation: Generation, reply: Reply) -> Reply:
        """The whole answer of a generation that comes as events."""
        events: list[Event] = []
        async for event in reply:
            if event.error is not None:
                raise event.error.again()
            events.append(event)
        outcome = generation.outcome
        if outcome is None or outcome.status != "ok":
            raise StreamInterrupted("The generation that was to be shared broke off.")
        return ReadyReply(reply.head, _unpaid(outcome), whole=collect(events))


def _tell_stream(exchange: Exchange, stream: Stream, head: Head) -> None:
    """What the stream says of an answer that begins."""
    stream.head = head
    stream.cache = exchange.cache
    stream.pays = not exchange.is_free
    stream.attempts = len(exchange.tries)


def _share_failure(generation: Generation, *, last: bool) -> None:
    """Raises why a generation failed before it began, for who has waited in vain often enough."""
    failure = None if generation.outcome is None else generation.outcome.error
    if last and failure is not None and (failure.fault != "caller" or failure.provider is not None):
        raise failure.again()  # not what was wrong with one caller alone


def _unpaid(outcome: Outcome) -> Outcome:
    """The outcome as others than its own request have it: somebody else pays."""
    return Outcome(
        status=outcome.status,
        usage=outcome.usage,
        finish_reason=outcome.finish_reason,
        upstream_id=outcome.upstream_id,
        response_model=outcome.response_model,
    )
