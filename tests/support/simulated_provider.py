"""A provider with a capacity, its clients and time, all simulated: what a bound that is found out makes of them."""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from typing import NamedTuple

from llm_service.routing import AdaptiveBound

REFUSED_AFTER_S = 0.05


class Span(NamedTuple):
    """Some seconds of a simulation: the mean bound, and what was answered as a share of what the provider can do."""

    bound: float
    throughput: float


@dataclass
class SimulatedProvider:
    """Answers so many at once, each after ``answer_s`` on average; the others wait in line, or are refused.

    ``spread``: how much the times differ, as their standard deviation by their mean. ``clients``: so many
    always ask, or want to, and the bound lets as many of them in as it likes.
    """

    capacity: int
    answer_s: float = 1.0
    spread: float = 0.0
    refuses: bool = False
    clients: int = 2000
    bound: AdaptiveBound = field(default_factory=AdaptiveBound)
    seed: int = 1

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._now = 0.0
        self._in_flight = 0
        self._served = 0
        self._line: deque[float] = deque()
        self._coming: list[tuple[float, int, float, bool]] = []
        self._number = 0

    def run(self, seconds: float) -> Span:
        """Go on for so long."""
        ends_at, began_at, answered, area = self._now + seconds, self._now, 0, 0.0
        self._let_in()
        while self._coming[0][0] < ends_at:
            before, bound = self._now, self.bound.bound
            self._now, _, asked_at, refused = heapq.heappop(self._coming)
            area += bound * (self._now - before)
            self._end(asked_at, refused=refused)
            answered += not refused
        area += self.bound.bound * (ends_at - self._now)
        self._now = ends_at
        return Span(area / seconds, answered * self.answer_s / self.capacity / (ends_at - began_at))

    def spans(self, count: int, seconds: float) -> Sequence[Span]:
        return [self.run(seconds) for _ in range(count)]

    def _let_in(self) -> None:
        while self._in_flight < min(self.clients, self.bound.bound):
            self._in_flight += 1
            if self._served < self.capacity:
                self._serve(self._now)
            elif self.refuses:
                self._schedule(REFUSED_AFTER_S, self._now, refused=True)
            else:
                self._line.append(self._now)

    def _serve(self, asked_at: float) -> None:
        self._served += 1
        wide = log(1 + self.spread**2)
        factor = self._dice.lognormvariate(-wide / 2, sqrt(wide)) if self.spread else 1.0
        self._schedule(self.answer_s * factor, asked_at, refused=False)

    def _schedule(self, after_s: float, asked_at: float, *, refused: bool) -> None:
        self._number += 1
        heapq.heappush(self._coming, (self._now + after_s, self._number, asked_at, refused))

    def _end(self, asked_at: float, *, refused: bool) -> None:
        self.bound.observed(self._now - asked_at, failed=refused, in_flight=self._in_flight, now=self._now)
        self._in_flight -= 1
        if not refused:
            self._served -= 1
            while self._line and self._served < self.capacity:
                self._serve(self._line.popleft())
        self._let_in()
