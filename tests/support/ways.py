"""Ways to serve a model, how they stand, and dice that fall as a test says."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llm_service.domain import Candidate
from llm_service.routing import Way


@dataclass
class Stand:
    """A deployment's standing, set by hand."""

    in_flight: int = 0
    latency_s: float = 0.0

    def latency(self, _now: float, /) -> float:
        return self.latency_s


def way(name: str = "a", *, weight: float = 1.0, priority: int = 0) -> Way:
    return Way(candidate=Candidate(provider=name, upstream_model="m"), weight=weight, priority=priority)


def ways_of(weights: Sequence[float], priorities: Sequence[int] = ()) -> list[Way]:
    """A way of each weight, with a name of its own."""
    given = priorities or [0] * len(weights)
    return [
        way(f"p{place}", weight=weight, priority=priority)
        for place, (weight, priority) in enumerate(zip(weights, given, strict=True))
    ]


class Falls(random.Random):
    """Dice that fall as they are told, and not once more."""

    def __init__(self, falls: Iterable[float]) -> None:
        super().__init__(0)
        self._falls = iter(falls)

    def random(self) -> float:
        return next(self._falls)


def evenly(count: int) -> Iterator[float]:
    """So many numbers from 0 to 1, at equal distances: what falls in a range is as much as the range is long."""
    return ((number + 0.5) / count for number in range(count))
