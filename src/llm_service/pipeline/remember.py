"""Stage: what the cache may do for a request is decided, and its answer is kept on the way out."""

import asyncio
from collections.abc import Awaitable

from llm_service.cache import CachePlan, CachePolicy, is_servable, may_keep_events, may_keep_whole
from llm_service.domain import LARGE_BYTES, KeptAnswer, OnlyIfCachedMiss, Outcome, Reply
from llm_service.pipeline.alike import Alike
from llm_service.pipeline.answer import answer_of
from llm_service.pipeline.base import Exchange, Passing, Proceed, Watcher
from llm_service.runtime import Clock, Tally
from llm_service.storage import CacheLook, CacheStore
from llm_service.streams import Streams

MISSED = "The request asks for a kept answer alone (only-if-cached), and there is none."


class Remember(Passing):
    """Fills ``exchange.plan``; begins the look-up, so that it shares the round trip of admission.

    Its watcher settles after the account: what the answer cost is known then; it is kept, and others get its end.
    ``unsettled`` counts the exchanges that have not come so far, also those whose client has left.
    """

    def __init__(
        self,
        *,
        policy: CachePolicy,
        store: CacheStore,
        streams: Streams,
        max_entry_bytes: int,
        clock: Clock,
        unsettled: Tally,
        alike: Alike | None = None,
    ) -> None:
        self.max_entry_bytes = max_entry_bytes
        self.unsettled = unsettled
        self.policy = policy
        self.store = store
        self.streams = streams
        self.clock = clock
        self._alike = alike

    def passes(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply] | None:
        """Go on; with a wait only where the body is large.

        Raises OnlyIfCachedMiss for a request that wants a kept answer alone and can have none.
        """
        if exchange.request.body_bytes > LARGE_BYTES:
            return self._aside(exchange, proceed)
        self._go_by(self.plan(exchange), exchange)
        return None

    async def _aside(self, exchange: Exchange, proceed: Proceed) -> Reply:
        self._go_by(await asyncio.to_thread(self.plan, exchange), exchange)
        return await proceed(exchange)

    def _go_by(self, plan: CachePlan | None, exchange: Exchange) -> None:
        exchange.plan_cache(plan)
        if plan is None:
            if exchange.control.only_if_cached:
                raise OnlyIfCachedMiss(MISSED)
            if exchange.request.stream or exchange.finish:
                self._watch(exchange)
            return
        if self._alike is not None:
            self._alike.expect(exchange, plan)
        self._watch(exchange)
        exchange.cache = "miss"
        look = self.store.look(plan.digest, plan.groups)
        if not isinstance(look, CacheLook):
            exchange.look = exchange.spawn(look, name="look-up in the cache")
        elif look.answer is not None and self.is_there(plan, look):
            exchange.look = look
            exchange.is_expected = True
        else:
            exchange.is_expected = self.is_on_its_way(exchange, plan)

    def _watch(self, exchange: Exchange) -> None:
        exchange.watchers.append(_Keeper(exchange, self))
        self.unsettled.add()

    def plan(self, exchange: Exchange) -> CachePlan | None:
        """What the cache may do for a request; ``None``: nothing."""
        return self.policy.plan(
            exchange.request,
            candidates=exchange.route.candidates,
            caller=exchange.caller,
            user=exchange.user,
            tags=exchange.tags,
            control=exchange.control,
            policy_version=exchange.policy.version,
        )

    def is_there(self, plan: CachePlan, look: CacheLook) -> bool:
        """Whether the look-up has found what may be given without any further reason."""
        return look.answer is not None and is_servable(look.answer, plan, self.clock.time()) is not None

    def is_on_its_way(self, exchange: Exchange, plan: CachePlan) -> bool:
        """Whether another request has asked for the answer, and this one may share it, as far as can be seen now."""
        return plan.digest in self.streams.flights and may_join(exchange, plan)


class _Keeper(Watcher):
    """Closes the stream and the generation of an exchange, and keeps the answer."""

    __slots__ = ("_exchange", "_stage")

    def __init__(self, exchange: Exchange, stage: Remember) -> None:
        self._exchange = exchange
        self._stage = stage

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        exchange, stage = self._exchange, self._stage
        if exchange.generation is None and exchange.stream is None:  # it was given what was there, or refused
            stage.unsettled.remove()
            return None
        stored: bool | Awaitable[bool] = False
        closes_now = True
        try:
            stored = self._store(outcome)
            closes_now = isinstance(stored, bool) and (stage.streams.shared is None or exchange.generation is None)
        finally:
            if closes_now:
                stage.unsettled.remove()
                self._close(outcome)
        return None if closes_now else self._close_for_all(stored, outcome)

    def _store(self, outcome: Outcome) -> bool | Awaitable[bool]:
        plan = self._exchange.plan
        if plan is None or (answer := self._answer(outcome)) is None:
            return False
        return self._stage.store.put(answer, plan.groups, self._exchange.epochs)

    async def _close_for_all(self, stored: bool | Awaitable[bool], outcome: Outcome) -> None:  # noqa: FBT001
        """Others here and elsewhere get the end when the answer is kept; its own client after them."""
        try:
            try:
                if not isinstance(stored, bool):
                    await stored
            finally:
                self._close(outcome)
                await self._tell()
        finally:
            self._stage.unsettled.remove()

    async def _tell(self) -> None:
        """Other processes get the end of what was made here."""
        exchange, shared = self._exchange, self._stage.streams.shared
        generation, stream = exchange.generation, exchange.request.stream
        if shared is None or generation is None:
            return
        try:
            if stream:
                await generation.told()
        finally:
            if exchange.flies and exchange.plan is not None:
                await shared.land(exchange.plan.digest, exchange.id)

    def _close(self, outcome: Outcome) -> None:
        exchange, streams = self._exchange, self._stage.streams
        generation, record = exchange.generation, exchange.record
        if generation is not None:
            if exchange.plan is not None and streams.flights.get(exchange.plan.digest) is generation:
                del streams.flights[exchange.plan.digest]
            if record is None:
                generation.close(outcome)
            else:
                generation.close(outcome, nano_usd=record.nano_usd, cost_source=record.cost_source)
        if exchange.stream is not None:
            streams.close(exchange.stream)

    def _answer(self, outcome: Outcome) -> KeptAnswer | None:
        """What is to be kept of this exchange, if anything."""
        exchange, stage = self._exchange, self._stage
        generation, plan = exchange.generation, exchange.plan
        if generation is None or plan is None or exchange.kept is not None or not exchange.tries:
            return None
        if exchange.stands_in:  # a fallback's answer is not to outlive the outage
            return None
        whole, most = generation.whole, stage.max_entry_bytes
        if whole is not None:
            is_complete = generation.is_complete
            if not may_keep_whole(exchange.request.operation, whole, outcome, max_bytes=most, is_complete=is_complete):
                return None
        elif not (events := generation.events) or not may_keep_events(events, outcome, max_bytes=most):
            return None
        return answer_of(
            exchange, outcome, digest=plan.digest, now=stage.clock.time(), fresh_s=plan.fresh_s, kept_s=plan.kept_s
        )


def may_join(exchange: Exchange, plan: CachePlan) -> bool:
    """Whether a request may have the answer that another one is waiting for."""
    return plan.serve and exchange.deadline is None
