"""Figures as a machine would tell them, made by hand."""

from collections.abc import Mapping

from llm_service.observability import Distribution, Family, Labels, Snapshot, catalog

Numbers = Mapping[str, Mapping[Labels, float]]


class Machine:
    """Counts by hand; ``read`` is what a MetricsSource says. Labels are given by name, what is left out is ``-``."""

    def __init__(self) -> None:
        self.at = 0.0
        self.reads = 0
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._distributions: dict[str, dict[Labels, Distribution]] = {}

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        """A counter grows."""
        series = self._numbers.setdefault(name, {})
        key = _labels(name, labels)
        series[key] = series.get(key, 0.0) + by

    def gauge(self, name: str, value: float | None, **labels: str) -> None:
        """A gauge is so, or there is none."""
        series = self._numbers.setdefault(name, {})
        if value is None:
            series.pop(_labels(name, labels), None)
        else:
            series[_labels(name, labels)] = value

    def observe(self, name: str, value: float, times: int = 1, **labels: str) -> None:
        """A histogram gets values."""
        bounds = catalog.ALL[name].bounds
        place = sum(1 for bound in bounds if bound < value)
        counts = tuple(float(times) if number == place else 0.0 for number in range(len(bounds) + 1))
        series = self._distributions.setdefault(name, {})
        key, new = _labels(name, labels), Distribution(bounds, counts, value * times)
        series[key] = series[key] + new if key in series else new

    def requests(self, good: int, bad: int = 0, *, refused: int = 0) -> None:
        """Requests that were answered, that failed by a provider's fault, and by the caller's."""
        self.count("llm_requests_total", good, status="ok")
        self.count("llm_requests_total", bad, status="error")
        self.count("llm_requests_total", refused, status="refused")
        self.count("llm_request_errors_total", bad, code="upstream_error", fault="upstream")
        self.count("llm_request_errors_total", refused, code="rate_limit_exceeded", fault="caller")

    def restart(self) -> None:
        """Nothing was ever counted."""
        self._numbers, self._distributions = {}, {}

    def snapshot(self, at: float) -> Snapshot:
        """All of it, at a moment."""
        names = {*self._numbers, *self._distributions}
        families = {
            name: Family(catalog.ALL[name], dict(self._numbers.get(name, {})), dict(self._distributions.get(name, {})))
            for name in names
        }
        return Snapshot(at, families)

    async def read(self) -> Snapshot:
        self.reads += 1
        return self.snapshot(self.at)


def _labels(name: str, labels: Mapping[str, str]) -> Labels:
    return tuple(labels.get(label, "-") for label in catalog.ALL[name].labels)
