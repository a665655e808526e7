"""A part of two stages: the answer to a question that was asked in other words, and what is learned of a new one."""

from collections.abc import Awaitable
from dataclasses import replace

import orjson

from llm_service.cache import CachePlan, Search, SemanticCache, is_servable
from llm_service.domain import KeptAnswer, Outcome
from llm_service.pipeline.base import Exchange, Watcher
from llm_service.runtime import Clock, Tasks
from llm_service.storage import CacheLook, CacheStore
from llm_service.streams import Streams, collect


class Alike:
    """Searches for those whose plan has a question. In shadow mode nothing is given: the answers are compared after."""

    def __init__(
        self, semantic: SemanticCache, *, store: CacheStore, streams: Streams, clock: Clock, tasks: Tasks
    ) -> None:
        self.semantic = semantic
        self.tasks = tasks
        self._store = store
        self._streams = streams
        self._clock = clock

    def expect(self, exchange: Exchange, plan: CachePlan) -> None:
        """Have the question learned when its answer is kept. Call it before the watcher that keeps answers is left."""
        if plan.question is not None:
            exchange.search = search = Search(plan.question)
            exchange.watchers.append(_Learner(exchange, plan, search, self))

    async def find(self, exchange: Exchange, plan: CachePlan) -> KeptAnswer | None:
        """A fresh answer to a question that says the same, if one may be given."""
        search, semantic = exchange.search, self.semantic
        if search is None or not plan.serve or plan.digest in self._streams.flights:
            return None  # what is on its way for the very same request is better
        await semantic.search(search, own=plan.digest)
        for asked in search.matches:
            kept = await self.look(asked.digest)
            if kept is None:
                semantic.forget(asked)
            elif is_servable(kept, replace(plan, digest=kept.digest), self._clock.time()) == "fresh":
                serve = semantic.options.mode == "serve"
                semantic.hit(asked, served=serve)
                if serve:
                    return kept
                search.would_be = kept
                return None
        return None

    async def look(self, digest: bytes) -> KeptAnswer | None:
        """What the exact cache has."""
        look = self._store.look(digest, ())
        return (look if isinstance(look, CacheLook) else await look).answer


class _Learner(Watcher):
    """Settles after the answer was kept; the rest is done behind the request's back."""

    __slots__ = ("_alike", "_exchange", "_plan", "_search")

    def __init__(self, exchange: Exchange, plan: CachePlan, search: Search, alike: Alike) -> None:
        self._exchange = exchange
        self._plan = plan
        self._search = search
        self._alike = alike

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        exchange = self._exchange
        if outcome.status == "ok" and exchange.called and exchange.kept is None:
            self._alike.tasks.spawn(self._learn(), name="semantic cache")
        return None

    async def _learn(self) -> None:
        alike, search, plan = self._alike, self._search, self._plan
        kept = await alike.look(plan.digest)
        if kept is None:  # it was not worth keeping, or is gone already
            return
        await alike.semantic.learn(search, digest=plan.digest, ends_at=kept.stored_at + kept.fresh_s)
        if search.would_be is not None:
            would_be, given = text_of(search.would_be), text_of(kept)
            if would_be and given:
                await alike.semantic.judge(would_be, given)


def text_of(answer: KeptAnswer) -> str | None:
    """What a kept chat answer says in its first choice; ``None`` where that is no text."""
    whole = answer.pieces[0] if answer.form == "whole" else collect(answer.events())
    message = orjson.loads(whole)["choices"][0].get("message") or {}
    text = message.get("content")
    return text if isinstance(text, str) else None
