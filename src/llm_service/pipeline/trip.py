"""What follows a failed attempt: the same deployment again, another one, another model, or the error."""

import random
from collections.abc import Callable

from llm_service.admission import Admission
from llm_service.domain import LedgerUnavailable, LLMServiceError, UpstreamError, fact
from llm_service.pipeline.base import Exchange
from llm_service.routing import Home, Ranking, RoutingOptions, may_fall_back, may_retry, needs_of
from llm_service.runtime import Clock


@fact
class TripParts:
    """What deciding needs. ``max_retries`` and ``total_s``: of a provider, by its name."""

    admission: Admission
    ranking: Ranking
    options: RoutingOptions
    max_retries: Callable[[str], int]
    total_s: Callable[[str], float]
    clock: Clock
    dice: random.Random


class Trip:
    """One request's way on from deployments that have failed it.

    First the others of the same model; then, where there is none, the same one again, after a pause and within the
    budget of retries, the last of which is for a model that stands in at the same provider; then the models that stand
    in. Where the prompt is too long, or its content is refused, those that are configured for that. A provider that
    says when to come again is waited for up to ``retry_after_max_s``.
    """

    def __init__(self, exchange: Exchange, parts: TripParts) -> None:
        self._exchange = exchange
        self._parts = parts
        self._left = [place for place in exchange.order if place != exchange.place]
        self._calls = 0  # that are known of: the one that has failed is still to be counted
        self._retries: dict[str, int] = {}
        self._pauses = 0
        self._error: LLMServiceError | None = None
        self._opened: set[str] = set()

    async def after(self, error: LLMServiceError, place: int) -> int:
        """The place of the route to ask next. Raises what its client is told when there is none."""
        exchange = self._exchange
        if place in self._left:
            self._left.remove(place)
        called, self._calls = len(exchange.tries) > self._calls, len(exchange.tries)
        stands_in = exchange.route.group_of[place] is not exchange.route.groups[0]
        reason = may_fall_back(error)
        if stands_in and error.fault == "caller":
            reason = reason or "failure"  # what one model cannot do says nothing of the request that another was asked
        elif called or self._error is None:
            self._error = error
        if reason is None or self._is_over():
            raise self._told(error)
        if reason != "failure" and reason not in self._opened:
            self._opened.add(reason)
            ranking, route = self._parts.ranking, exchange.route
            needs = needs_of(exchange.sent, exchange.tags)
            opened = ranking.of_groups(route, route.of(reason), exchange.sent, needs)
            if not opened:
                raise self._told(error)
            self._left = opened
        chosen = await self._choose(error, place, called=called)
        if chosen is None:
            raise self._told(error)
        return chosen

    def _told(self, error: LLMServiceError) -> LLMServiceError:
        return self._error or error

    def _is_over(self) -> bool:
        deadline = self._exchange.deadline
        return deadline is not None and self._parts.clock.monotonic() >= deadline

    async def _choose(self, error: LLMServiceError, place: int, *, called: bool) -> int | None:
        group = self._exchange.route.group_of[place]
        other_key = isinstance(error, UpstreamError) and error.other_key
        if called and other_key and await self._again(error, place):
            return place
        siblings = [other for other in self._left if other in group.places]
        if (found := await self._first(siblings, called=called)) is not None:
            return found
        others = [other for other in self._left if other not in group.places]
        again = called and not other_key and may_retry(error) and not self._last_is_for(others, place)
        if again and await self._again(error, place):
            return place
        return await self._first(others, called=called)

    def _last_is_for(self, others: list[int], place: int) -> bool:
        """Whether the last retry at the place's provider is another model's there, for which none would be left."""
        route, now = self._exchange.route, self._parts.clock.monotonic()
        home = route.members[place].home
        if self._retries.get(home.name, 0) + 1 < self._parts.max_retries(home.name):
            return False
        return any(route.members[other].home is home and route.members[other].breaker.ready(now) for other in others)

    async def _first(self, places: list[int], *, called: bool) -> int | None:
        """The first of these that can be asked; those that cannot are not looked at again.

        At a provider that has been tried it is paid for, whoever was asked in between.
        """
        route = self._exchange.route
        for other in places:
            self._left.remove(other)
            member = route.members[other]
            home, now = member.home, self._parts.clock.monotonic()
            if not self._parts.ranking.is_on(home.name) or not member.breaker.ready(now) or self._has_spent(home, now):
                continue
            if self._exchange.has_tried(home.name) and not self._pay(home, now):
                continue
            if await self._swapped(other, called=called):
                return other
        return None

    async def _again(self, error: LLMServiceError, place: int) -> bool:
        """Whether the same deployment is to be asked again, now that the pause is over."""
        parts, member = self._parts, self._exchange.route.members[place]
        pause_s = self._pause_s(error)
        now = parts.clock.monotonic()
        deadline = self._exchange.deadline
        if pause_s is None or (deadline is not None and now + pause_s >= deadline):
            return False
        if self._retries.get(member.home.name, 0) >= parts.max_retries(member.home.name):
            return False
        if self._has_spent(member.home, now + pause_s):
            return False
        if not member.breaker.ready(now + pause_s) or not self._pay(member.home, now):
            return False
        if pause_s > 0:
            await parts.clock.sleep(pause_s)
        return await self._swapped(place, called=True)

    def _pause_s(self, error: LLMServiceError) -> float | None:
        """Seconds to wait before the same deployment is asked again; ``None``: longer than is waited for."""
        options = self._parts.options
        if isinstance(error, UpstreamError) and error.other_key:
            return 0.0
        longest_s = min(options.backoff_max_s, options.backoff_s * 2.0**self._pauses)
        pause_s = self._parts.dice.uniform(0.0, longest_s)
        if error.retry_after_s is None:
            self._pauses += 1
            return pause_s
        if error.retry_after_s > options.retry_after_max_s:
            return None
        self._pauses += 1
        return error.retry_after_s + pause_s * 0.1  # not all at once, when the time has come

    def _has_spent(self, home: Home, now: float) -> bool:
        """Whether earlier attempts have taken all the time that a request may take at this provider."""
        return self._exchange.spent_s(home.name, now) >= self._parts.total_s(home.name)

    def _pay(self, home: Home, now: float) -> bool:
        """Whether a further attempt at a provider is within its bounds; if so it is counted."""
        retries = self._retries.get(home.name, 0)
        if retries >= self._parts.max_retries(home.name) or not home.budget.spend(now):
            return False
        self._retries[home.name] = retries + 1
        return True

    async def _swapped(self, place: int, *, called: bool) -> bool:
        """Whether the limits of the place's provider have room for it; if so, it is taken."""
        exchange = self._exchange
        candidate = exchange.route.candidates[place]
        try:
            admitted = await self._parts.admission.swap(exchange.admitted, candidate, called=called)
        except LedgerUnavailable:  # what was spent of its provider's budget cannot be learned: another may have none
            return False
        if admitted is None:
            return False
        exchange.admitted = admitted
        return True
