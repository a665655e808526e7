"""A source of figures that counts what a test says, under the names and labels of the catalogue."""

from collections.abc import Mapping
from typing import Any

from llm_service.observability import Distribution, Snapshot
from llm_service.observability.metrics import Family, Labels, Metric, catalog
from llm_service.runtime import Clock

Sums = dict[str, dict[Labels, Any]]


class Measured:
    """Counts from nothing. ``failure``: what reading ends with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers: Sums = {}
        self._distributions: Sums = {}
        self.failure: Exception | None = None
        self.reads = 0
        self.set(catalog.WORKERS, 1)

    def request(
        self,
        *,
        provider: str = "p",
        model: str = "m",
        status: str = "ok",
        duration_s: float = 0.2,
        tokens: int = 10,
        cost_usd: float = 0.001,
        cache: str = "miss",
    ) -> None:
        """One that has ended."""
        self.add(catalog.REQUESTS, 1, surface="rest", model=model, provider=provider, status=status, cache=cache)
        self.observe(catalog.REQUEST_DURATION, duration_s, model=model, provider=provider, cache=cache)
        self.observe(catalog.TIME_TO_FIRST_CHUNK, duration_s / 2, model=model, provider=provider)
        for kind in ("input", "output"):
            self.add(catalog.TOKENS, tokens, model=model, provider=provider, kind=kind)
        self.add(catalog.COST, cost_usd, model=model, provider=provider, source="provider")
        if cache == "hit":
            self.add(catalog.CACHE_HITS, 1, kind="hit")
        else:
            self.add(catalog.CACHE_MISSES, 1)

    def add(self, metric: Metric, amount: float, **labels: str) -> None:
        series = self._numbers.setdefault(metric.name, {})
        series[_values(metric, labels)] = series.get(_values(metric, labels), 0.0) + amount

    def set(self, metric: Metric, value: float) -> None:
        self._numbers[metric.name] = {(): value}

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        place = sum(bound < value for bound in metric.bounds)
        one = Distribution(metric.bounds, tuple(float(at == place) for at in range(len(metric.bounds) + 1)), value)
        series = self._distributions.setdefault(metric.name, {})
        known = series.get(_values(metric, labels))
        series[_values(metric, labels)] = one if known is None else known + one

    async def read(self) -> Snapshot:
        self.reads += 1
        if self.failure is not None:
            raise self.failure
        names = {*self._numbers, *self._distributions}
        families = {
            name: Family(catalog.ALL[name], dict(self._numbers.get(name, {})), dict(self._distributions.get(name, {})))
            for name in names
        }
        return Snapshot(at=self._clock.time(), families=families)


def _values(metric: Metric, labels: Mapping[str, str]) -> Labels:
    assert set(metric.labels) == set(labels)
    return tuple(labels[name] for name in metric.labels)
