"""The deployments that this process has asked, how each of them stands, and the providers that they are at."""

import random
from collections.abc import Callable, Mapping
from math import ceil
from typing import Final, Protocol

from llm_service.domain import Candidate
from llm_service.routing.breaker import Breaker
from llm_service.routing.bulkhead import Bulkhead, Places
from llm_service.routing.figures import ProviderFigures, TrippedBreaker
from llm_service.routing.latency import PeakEwma, RecentTimes
from llm_service.routing.options import RoutingOptions
from llm_service.routing.retry_budget import RetryBudget
from llm_service.routing.rolling import Rolling
from llm_service.runtime import Clock

MOST_MEMBERS: Final = 4096
"""More deployments than any configuration names; callers can name others."""
SECONDS: Final = 60


class Home:
    """One provider: its places, its retries, and what became of its requests in the last minute."""

    __slots__ = (
        "budget", "bulkhead", "calls", "failures", "last_error_at", "last_error_code", "members", "name", "pending",
    )  # fmt: skip

    def __init__(self, name: str, *, budget: RetryBudget, bulkhead: Bulkhead) -> None:
        self.name = name
        self.budget = budget
        self.bulkhead = bulkhead
        self.calls = Rolling(SECONDS, 1.0)
        self.failures = Rolling(SECONDS, 1.0)
        self.members: dict[str, Member] = {}
        self.pending: set[Pending] = set()
        """The attempts that have no first content yet."""
        self.last_error_code: str | None = None
        self.last_error_at: float | None = None

    @property
    def in_flight(self) -> int:
        """Requests that are there now."""
        return self.bulkhead.inside

    def failed(self, code: str, now: float) -> None:
        """A request failed by the provider's fault."""
        self.failures.add(now)
        self.last_error_code = code
        self.last_error_at = now

    def figures(self, now: float) -> ProviderFigures:
        """How it has been doing."""
        times = sorted(
            seconds
            for member in self.members.values()
            for kind in (member.times, member.whole_times)
            for seconds in kind.seen(now)
        )
        breakers = {model: member.breaker for model, member in self.members.items()}
        tripped = tuple(
            TrippedBreaker(
                upstream_model=model,
                state="half_open" if breaker.state(now) == "half_open" else "open",
                cause=breaker.cause,
                since=breaker.since,
                untried_s=max(0.0, now - breaker.open_until),
            )
            for model, breaker in breakers.items()
            if breaker.broken
        )
        return ProviderFigures(
            requests=self.calls.value(now),
            failures=self.failures.value(now),
            first_content_p50_s=_quantile(0.5, times),
            first_content_p95_s=_quantile(0.95, times),
            in_flight=self.in_flight,
            pending=len(self.pending),
            waiting=self.bulkhead.waiting,
            deployments=len(self.members),
            tripped=tripped,
            last_error_code=self.last_error_code,
            last_error_at=self.last_error_at,
        )


def _quantile(q: float, times: list[float]) -> float | None:
    return times[max(ceil(q * len(times)), 1) - 1] if times else None


class Pending(Protocol):
    """An attempt without its first content, which its provider's operator may call off."""

    def call_off(self) -> None:
        """Let it go elsewhere."""


class Member:
    """One deployment: requests in flight, how long it takes to the first content, its breaker."""

    __slots__ = ("_breaker", "_breaker_of", "_latency", "candidate", "home", "in_flight", "times", "whole_times")

    def __init__(self, candidate: Candidate, home: Home, breaker_of: Callable[[Candidate], Breaker]) -> None:
        self.candidate = candidate
        self.home = home
        self._breaker_of = breaker_of
        self._breaker: Breaker | None = None
        self.in_flight = 0
        self._latency = PeakEwma()
        self.times = RecentTimes()
        """To the first content of streams, in seconds."""
        self.whole_times = RecentTimes()
        """To whole answers."""

    @property
    def breaker(self) -> Breaker:
        """Its breaker; another one, where that said nothing and has been forgotten."""
        breaker = self._breaker
        if breaker is None or breaker.forgotten:
            breaker = self._breaker = self._breaker_of(self.candidate)
        return breaker

    def latency(self, now: float, /) -> float:
        """What it takes lately to the first content, in seconds; 0.0 while nothing is known."""
        return self._latency.value(now)

    def timed_out(self, seconds: float, now: float) -> None:
        """So long nothing came: it is slow, and that counts before an answer says so."""
        self._latency.observe(seconds, now)
        self.home.bulkhead.observed(seconds, failed=True, now=now)

    def answered(self, seconds: float, now: float, *, stream: bool) -> None:
        """The first content has come."""
        self._latency.observe(seconds, now)
        (self.times if stream else self.whole_times).add(seconds, now)
        bulkhead = self.home.bulkhead
        if bulkhead.is_adaptive:
            bulkhead.observed(seconds, failed=False, now=now)


class Fleet:
    """Every deployment by its candidate. Of this process, through all generations of its settings."""

    def __init__(
        self,
        *,
        breaker_of: Callable[[Candidate], Breaker],
        workers: Callable[[], int],
        clock: Clock,
        dice: random.Random,
    ) -> None:
        """``workers``: how many processes share the retry budgets."""
        self._breaker_of = breaker_of
        self._workers = workers
        self._clock = clock
        self._dice = dice
        self._homes: dict[str, Home] = {}
        self._count = 0
        self.options = RoutingOptions()
        self._places: Mapping[str, Places] = {}

    def configure(self, options: RoutingOptions, places: Mapping[str, Places]) -> None:
        """Hold to these settings from now on. ``places``: of the providers that bound them."""
        self.options = options
        self._places = dict(places)
        for home in self._homes.values():
            home.budget.configure(ratio=options.retry_budget, least=options.retry_budget_min)
            home.bulkhead.hold_to(self._places.get(home.name, Places()))

    def home(self, provider: str) -> Home:
        """The provider of this name."""
        home = self._homes.get(provider)
        if home is None:
            options = self.options
            home = self._homes[provider] = Home(
                provider,
                budget=RetryBudget(ratio=options.retry_budget, least=options.retry_budget_min, workers=self._workers),
                bulkhead=Bulkhead(provider, self._places.get(provider, Places()), clock=self._clock, dice=self._dice),
            )
        return home

    def member(self, candidate: Candidate) -> Member:
        """The deployment, which is known from now on."""
        home = self.home(candidate.provider)
        member = home.members.get(candidate.upstream_model)
        if member is None:
            if self._count >= MOST_MEMBERS:
                self._forget_idle()
            member = home.members[candidate.upstream_model] = Member(candidate, home, self._breaker_of)
            self._count += 1
        return member

    def figures(self, provider: str, now: float) -> ProviderFigures:
        """How a provider has been doing in this process; one that nobody has asked has none but zeros."""
        home = self._homes.get(provider)
        return ProviderFigures() if home is None else home.figures(now)

    def call_off(self, provider: str) -> None:
        """Let every attempt at this provider that has no first content yet go elsewhere."""
        home = self._homes.get(provider)
        for pending in () if home is None else tuple(home.pending):
            pending.call_off()

    def _forget_idle(self) -> None:
        now = self._clock.monotonic()
        for home in self._homes.values():
            home.members = {
                model: member
                for model, member in home.members.items()
                if member.in_flight or not member.breaker.is_idle(now)
            }
        self._count = sum(len(home.members) for home in self._homes.values())
