"""Routes and a fleet for tests of what stands above them."""

import random

from llm_service.domain import Candidate
from llm_service.routing import Breaker, BreakerOptions, Fleet, Group, Route, Strategy, Way
from llm_service.runtime import Clock
from tests.support.clock import ManualClock


def a_fleet(clock: Clock | None = None, *, breaker: BreakerOptions | None = None, seed: int = 1) -> Fleet:
    """A fleet whose breakers are its own."""
    time = clock or ManualClock()
    known: dict[Candidate, Breaker] = {}

    def breaker_of(candidate: Candidate) -> Breaker:
        if candidate not in known:
            known[candidate] = Breaker(candidate, breaker or BreakerOptions(), time=time.time)
        return known[candidate]

    return Fleet(breaker_of=breaker_of, workers=lambda: 1, clock=time, dice=random.Random(seed))


def way(provider: str, model: str = "m", **more: object) -> Way:
    return Way(candidate=Candidate(provider=provider, upstream_model=model), **more)  # type: ignore[arg-type]


def a_route(*providers: str, fleet: Fleet | None = None, strategy: Strategy = "priority") -> Route:
    """One model with a deployment of the model ``m`` at each of these providers."""
    group = Group("p/m", [way(provider) for provider in providers or ("p",)], strategy=strategy)
    return Route([group], (fleet or a_fleet()).member)
