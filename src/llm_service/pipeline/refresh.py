"""A part of a stage: a new answer is asked for once, by one process, for all who get the stale one meanwhile."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from llm_service.cache import CachePlan
from llm_service.domain import KeptAnswer
from llm_service.pipeline.base import Exchange
from llm_service.pipeline.standing import Standing
from llm_service.runtime import Clock
from llm_service.storage import StoreUnavailable
from llm_service.streams import Streams

LET_S: Final = 1.0
"""For so long one lets another process ask before one looks whether it still does."""


class Refreshing:
    """Which answers this process is asking for anew, or lets another one ask for."""

    def __init__(self, streams: Streams, standing: Standing, clock: Clock) -> None:
        self.streams = streams
        self.standing = standing
        self.clock = clock
        self.digests: set[bytes] = set()

    def needed(self, plan: CachePlan, stale: KeptAnswer, epochs: tuple[int, ...]) -> "Refresh | None":
        """What is to be done because a stale answer was given, unless it is being done here."""
        if plan.digest in self.digests or plan.digest in self.streams.flights:
            return None
        self.digests.add(plan.digest)
        return Refresh(self, plan, stale.stored_at, epochs)


class Refresh:
    """One new answer. Each ends, whether or not it has begun."""

    def __init__(self, refreshing: Refreshing, plan: CachePlan, seen_at: float, epochs: tuple[int, ...]) -> None:
        self._refreshing = refreshing
        self._digest = plan.digest
        self._groups: Sequence[str] = plan.groups
        self._seen_at = seen_at
        self._epochs = epochs
        self._log_id: str | None = None
        self._elsewhere = False

    async def begin(self, again: Exchange) -> bool:
        """Whether this exchange is to ask: no other process does, and no newer answer is kept by now."""
        shared = self._refreshing.streams.shared
        if shared is None:
            return True
        mine = shared.flight(again.id, as_events=again.request.stream, groups=self._groups, epochs=self._epochs)
        stands = partial(self._refreshing.standing.of, self._digest)
        try:
            there = await shared.claim(self._digest, mine, seen_at=self._seen_at, stands=stands)
        except StoreUnavailable:  # each process asks by itself
            return True
        if there != mine:
            self._elsewhere = True
            return False
        self._log_id = again.id
        return True

    async def end(self) -> None:
        """The new answer is kept, or there is none."""
        refreshing, shared = self._refreshing, self._refreshing.streams.shared
        forget = partial(refreshing.digests.discard, self._digest)
        if self._elsewhere:
            refreshing.clock.call_later(LET_S, forget)
            return
        try:
            if shared is not None and self._log_id is not None:
                await shared.land(self._digest, self._log_id)
        finally:
            forget()
