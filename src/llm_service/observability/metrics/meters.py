"""What this process counts: series of metrics, each with cells of its own, and a bound on how many there are."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from llm_service.observability.metrics.catalog import ALL, SERIES_DROPPED
from llm_service.observability.metrics.cells import Cells, Floats
from llm_service.observability.metrics.metric import Metric

OTHER: Final = "other"
MOST_SERIES: Final = 1000
"""Of one metric in one process; of what is more the names are `other`, and beyond a quarter more all labels are."""
NAMES: Final = frozenset(("model", "upstream_model", "key_id"))
"""Labels that may have any number of values; those of all others together are few."""
NOWHERE: Final = ""
"""In place of a metric's name: cells for what finds no room at all. Nobody reads them."""
UNKNOWN: Final = math.nan
"""What a gauge shows that nobody can tell."""

Reading = tuple[Metric, tuple[str, ...], float]
"""A gauge's labels, and its value now."""


class Exemplar(NamedTuple):
    """One of the values that a bucket counted, and the trace in which to find it. ``at``: seconds since the epoch."""

    trace_id: str
    value: float
    at: float


class Counter:
    """One series of a counter."""

    __slots__ = ("_cell", "_view")

    def __init__(self, view: Floats, cell: int) -> None:
        self._view = view
        self._cell = cell

    def add(self, amount: float = 1.0) -> None:
        """Count; never less than nothing."""
        self._view[self._cell] += amount


class Histogram:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_cell", "_view")

    def __init__(self, view: Floats, cell: int, bounds: tuple[float, ...]) -> None:
        self._view = view
        self._cell = cell
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """Count a value in its bucket, whose upper bound is part of it."""
        self._view[self._cell + bisect_left(self._bounds, value)] += 1.0
        self._view[self._cell + len(self._bounds) + 1] += value


class Meters:
    """The figures of this process. For one event loop; whoever reads the memory meanwhile does no harm.

    Whoever counts often asks for a series once and keeps it. ``view`` and ``cell`` are for whoever counts for every
    request: a histogram's cells are its buckets, the infinite one, and the sum.
    """

    def __init__(self, cells: Cells, *, most_series: int = MOST_SERIES) -> None:
        self._cells = cells
        self._most = most_series
        self._found: dict[tuple[str, tuple[str, ...]], int] = {}
        self._counts: dict[str, int] = {}
        self._shown: dict[tuple[str, tuple[str, ...]], int] = {}
        self.view = cells.view
        self.exemplars: dict[int, Exemplar] = {}
        """The last of each bucket, by its cell."""
        self._nowhere = -1
        cells.stamp = 0.0  # not that of the process before this one
        for name, labels, cell in cells.begin():
            if name == NOWHERE:
                self._nowhere = cell
                continue
            self._found[name, labels] = cell
            self._counts[name] = self._counts.get(name, 0) + 1
            if ALL[name].kind == "gauge":
                self.view[cell] = UNKNOWN  # what the process before this one knew
        if self._nowhere < 0:
            self._nowhere = cells.add(NOWHERE, (), count=max(map(width, ALL.values()))) or 0

    def counter(self, metric: Metric, *labels: str) -> Counter:
        """A series of a counter."""
        return Counter(self.view, self.cell(metric, labels))

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        """A series of a histogram."""
        return Histogram(self.view, self.cell(metric, labels), metric.bounds)

    def cell(self, metric: Metric, labels: tuple[str, ...]) -> int:
        """The first cell of a series, made where it is new. One too many gets that of the series `other`."""
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, not {labels}")
        found = self._found.get((metric.name, labels))
        return self._new(metric, labels) if found is None else found

    def show(self, readings: Iterable[Reading], *, at: float) -> None:
        """Set the gauges, all of them: one that is not told has no value any more. ``at``: monotonic seconds."""
        before, now = self._shown, {}
        for metric, labels, value in readings:
            cell = self.cell(metric, labels)
            self.view[cell] = value
            now[metric.name, labels] = cell
        for gone in before.keys() - now.keys():
            self.view[before[gone]] = UNKNOWN
        self._shown = now
        self._cells.stamp = at

    def exemplars_of(self, metric: Metric, labels: tuple[str, ...]) -> Mapping[int, Exemplar]:
        """A series's exemplars, by the bucket's place."""
        cell, kept = self._found.get((metric.name, labels)), self.exemplars
        if cell is None or not kept:
            return {}
        return {place: kept[cell + place] for place in range(width(metric) - 1) if cell + place in kept}

    def _new(self, metric: Metric, labels: tuple[str, ...]) -> int:
        other, count = (OTHER,) * len(labels), self._counts.get(metric.name, 0)
        if count >= self._most and labels != other:
            unnamed = _unnamed(metric, labels)
            if labels != unnamed:  # how a request ended and what it cost is told all the same
                return self._too_many(metric, unnamed)
            if NAMES.isdisjoint(metric.labels) or count >= self._most + self._most // 4:
                return self._too_many(metric, other)
        first = UNKNOWN if metric.kind == "gauge" else 0.0
        cell = self._cells.add(metric.name, labels, count=width(metric), first=first)
        if cell is None:
            return self._too_many(metric, other) if labels != other else self._nowhere
        self._found[metric.name, labels] = cell
        self._counts[metric.name] = self._counts.get(metric.name, 0) + 1
        return cell

    def _too_many(self, metric: Metric, instead: tuple[str, ...]) -> int:
        if metric is not SERIES_DROPPED:
            self.view[self.cell(SERIES_DROPPED, (metric.name,))] += 1.0
        return self.cell(metric, instead)


def _unnamed(metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(OTHER if name in NAMES else value for name, value in zip(metric.labels, labels, strict=True))


def width(metric: Metric) -> int:
    """How many cells a series has: one; of a histogram its buckets, the infinite one, and the sum."""
    return len(metric.bounds) + 2 if metric.kind == "histogram" else 1
