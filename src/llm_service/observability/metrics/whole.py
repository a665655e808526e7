"""The figures of all processes of this machine as one, those of processes that have ended included."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_service.observability.metrics.arena import Arena
from llm_service.observability.metrics.catalog import ALL, LOOP_LAG
from llm_service.observability.metrics.cells import Cells, Series
from llm_service.observability.metrics.metric import Metric
from llm_service.observability.metrics.pace import Pace
from llm_service.observability.metrics.sampler import EVERY_S
from llm_service.observability.metrics.snapshot import Distribution, Family, Labels, Snapshot
from llm_service.runtime import Clock

Reading = tuple[Metric, Labels, float]


class MetricsSource(Protocol):
    """Whoever can be asked for all figures of this machine."""

    async def read(self) -> Snapshot:
        """What was counted until now, and how the gauges stand."""


@dataclass(slots=True)
class _Slot:
    """What is known of a process's series."""

    cells: Cells
    series: list[tuple[Metric, Series]] = field(default_factory=list)

    async def learn(self, pace: Pace) -> None:
        """Know all series that there are by now, whoever else learns meanwhile."""
        for one in self.cells.news():
            if one.metric in ALL:
                self.series.append((ALL[one.metric], one))
            if pace.is_over:
                await pace.rest()


@dataclass(slots=True)
class _Gauge:
    """What several processes say of one gauge."""

    value: float
    stamp: float


class Whole:
    """Reads and adds up. ``more``: figures that no process has alone, made of what was added up."""

    def __init__(
        self, arena: Arena, *, clock: Clock, more: Callable[[Snapshot], Sequence[Reading]] = lambda _: ()
    ) -> None:
        self._arena = arena
        self._clock = clock
        self._more = more
        self._slots = {slot: _Slot(arena.look(slot)) for slot in arena.slots}

    async def read(self) -> Snapshot:
        """All figures. Each process's are those of one moment. Lets the event loop turn every few milliseconds."""
        at, pace = self._clock.time(), Pace(self._clock)
        numbers: dict[str, dict[Labels, float]] = {}
        distributions: dict[str, dict[Labels, Distribution]] = {}
        gauges: dict[str, dict[Labels, _Gauge]] = {}
        for number, slot in self._slots.items():
            await slot.learn(pace)
            if not slot.series:
                continue
            lives, stamp = self._arena.lives(number), slot.cells.stamp
            lowest, values = slot.cells.values()
            if lives and stamp:
                self._look_whether_late(gauges, stamp)
            for metric, (name, labels, cell) in slot.series[:]:
                place = cell - lowest
                if metric.kind == "counter":
                    sums = numbers.setdefault(name, {})
                    sums[labels] = sums.get(labels, 0.0) + values[place]
                elif metric.kind == "histogram":
                    _add(distributions.setdefault(name, {}), metric, labels, values, place)
                elif lives and not math.isnan(values[place]):
                    _merge(gauges.setdefault(name, {}), metric, labels, _Gauge(values[place], stamp))
                if pace.is_over:
                    await pace.rest()
        for name, found in gauges.items():
            numbers[name] = {labels: gauge.value for labels, gauge in found.items()}
        return self._snapshot(at, numbers, distributions)

    def _look_whether_late(self, gauges: dict[str, dict[Labels, _Gauge]], stamp: float) -> None:
        """A process whose event loop stands still cannot tell so itself: its gauges are overdue."""
        late_s = self._clock.monotonic() - stamp - EVERY_S
        if late_s > EVERY_S:
            _merge(gauges.setdefault(LOOP_LAG.name, {}), LOOP_LAG, (), _Gauge(late_s, stamp))

    def _snapshot(
        self,
        at: float,
        numbers: dict[str, dict[Labels, float]],
        distributions: dict[str, dict[Labels, Distribution]],
    ) -> Snapshot:
        families = {
            name: Family(metric, numbers.get(name, {}), distributions.get(name, {}))
            for name, metric in ALL.items()
            if name in numbers or name in distributions
        }
        counted = Snapshot(at, families)
        for metric, labels, value in self._more(counted):
            known = families.get(metric.name)
            before = known.numbers if known is not None else {}
            families[metric.name] = Family(metric, {**before, labels: value}, {})
        return counted


def _add(
    found: dict[Labels, Distribution], metric: Metric, labels: Labels, values: Sequence[float], place: int
) -> None:
    last = place + len(metric.bounds) + 1
    counted = Distribution(metric.bounds, tuple(values[place:last]), values[last])
    before = found.get(labels)
    found[labels] = counted if before is None else before + counted


def _merge(found: dict[Labels, _Gauge], metric: Metric, labels: Labels, gauge: _Gauge) -> None:
    before = found.get(labels)
    if before is None:
        found[labels] = gauge
    elif metric.merge == "sum":
        before.value += gauge.value
    elif metric.merge == "max":
        before.value = max(before.value, gauge.value)
    elif metric.merge == "min":
        before.value = min(before.value, gauge.value)
    elif gauge.stamp >= before.stamp:
        found[labels] = gauge
