"""What the figures of all machines were over some days: increases within windows, and gauges as they are now."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from llm_service.alerts.options import LONGEST_S
from llm_service.domain import fact_in_order
from llm_service.observability import Distribution, Family, Labels, Snapshot

Where = str | Sequence[str]
NO_NUMBERS: Final[Mapping[Labels, float]] = MappingProxyType({})
NO_FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({})
FINE_S: Final = 7500.0
"""Samples of the last two hours are all kept, of before that one for each five minutes."""
SLOT_S: Final = 300.0
STALE_SAMPLES: Final = 4
"""A machine that has told nothing for so many intervals has no gauges any more; what it counted stays counted."""


MODEL: Final = "model"
ROUNDING: Final = 1e-9
"""Of a sum of money: so much less it may be for having been added up in another order."""


@fact_in_order
class MachineSample(Snapshot):
    """A machine's figures. ``models``: those that have series of their own; all others share one."""

    models: frozenset[str] = frozenset()


class _Machine:
    """The samples of one machine, oldest first, with counters that go on where a restart began them anew."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.samples: list[Snapshot] = []
        self._raw: MachineSample | None = None
        self._before: Mapping[str, Family] = NO_FAMILIES

    def add(self, raw: MachineSample) -> None:
        if self._raw is not None:
            last = self.samples[-1].families
            if _began_anew(self._raw, raw):
                self._before = {name: one for name, one in last.items() if one.metric.kind != "gauge"}
            elif self._raw.models != raw.models:
                self._before = {**self._before, **_shared_out_anew(last, raw.families)}
        self._raw = raw
        self.moments.append(raw.at)
        self.samples.append(_after(raw, self._before) if self._before else raw)

    def thin(self, *, before: float, fine_before: float) -> None:
        """Of two samples in one slot before ``fine_before`` the first stays; nothing stays from before ``before``.

        The newest of what is too old is kept all the same: a window begins with it.
        """
        kept: list[Snapshot] = []
        first = max(bisect_right(self.moments, before) - 1, 0)
        for sample in self.samples[first:]:
            old = sample.at < fine_before
            if not (old and kept and kept[-1].at // SLOT_S == sample.at // SLOT_S):
                kept.append(sample)
        self.samples, self.moments = kept, [sample.at for sample in kept]

    def at(self, moment: float) -> Snapshot | None:
        """As it was then: the newest sample that is no later."""
        place = bisect_right(self.moments, moment)
        return self.samples[place - 1] if place else None

    def ends(self, since: float, until: float) -> tuple[Snapshot, Snapshot] | None:
        """The samples between which a window lies; ``None``: there are no two.

        Where nothing is as old as its beginning, the first one after it: what was counted before is not the window's.
        """
        last = self.at(until)
        if last is None:
            return None
        first = self.at(since) or self.samples[bisect_left(self.moments, since)]
        return (first, last) if first.at < last.at else None


class History:
    """All machines' samples. ``interval_s``: how often a machine makes one.

    Samples of a machine come in the order of time; one that comes again, or late, is passed over.
    """

    def __init__(self, *, interval_s: float) -> None:
        self._interval_s = interval_s
        self._machines: dict[str, _Machine] = {}
        self.now = 0.0
        """When the newest sample was made: seconds since the epoch."""

    def add(self, machine: str, sample: MachineSample) -> bool:
        """Whether it is new."""
        samples = self._machines.setdefault(machine, _Machine())
        if samples.moments and sample.at <= samples.moments[-1]:
            return False
        samples.add(sample)
        self.now = max(self.now, sample.at)
        return True

    def thin(self) -> None:
        """Forget what no window reaches, and most of what only long ones do."""
        for name, machine in tuple(self._machines.items()):
            machine.thin(before=self.now - LONGEST_S, fine_before=self.now - FINE_S)
            if machine.moments[-1] < self.now - LONGEST_S:
                del self._machines[name]

    @property
    def machines(self) -> Mapping[str, float]:
        """When each has last told."""
        return {name: machine.moments[-1] for name, machine in self._machines.items()}

    def increase(self, name: str, *, over_s: float, ending_s: float = 0.0, **where: Where) -> float:
        """By how much counters grew in a window that ended so many seconds ago, over all machines."""
        ends = self._ends(over_s, ending_s)
        return sum(last.total(name, **where) - first.total(name, **where) for first, last in ends)

    def increase_by(self, name: str, label: str, *, over_s: float, **where: Where) -> dict[str, float]:
        """The same apart for each value of one label."""
        grown: dict[str, float] = {}
        for first, last in self._ends(over_s, 0.0):
            before = first.by(name, label, **where)
            for value, count in last.by(name, label, **where).items():
                grown[value] = grown.get(value, 0.0) + count - before.get(value, 0.0)
        return grown

    def distribution(self, name: str, *, over_s: float, **where: Where) -> Distribution | None:
        """What a histogram got in a window, over all machines; ``None``: nothing ever."""
        whole: Distribution | None = None
        for first, last in self._ends(over_s, 0.0):
            now, before = last.distribution(name, **where), first.distribution(name, **where)
            if now is not None:
                part = now if before is None else now.since(before)
                whole = part if whole is None else whole + part
        return whole

    def values(self, name: str, label: str, **where: Where) -> dict[str, list[float]]:
        """What a gauge is now on each machine that still tells, by one label."""
        found: dict[str, list[float]] = {}
        for latest in self._latest():
            for value, number in latest.by(name, label, **where).items():
                found.setdefault(value, []).append(number)
        return found

    def value(self, name: str) -> list[float]:
        """The same of a gauge without labels."""
        return [latest.total(name) for latest in self._latest() if name in latest.families]

    def _latest(self) -> Iterator[Snapshot]:
        since = self.now - STALE_SAMPLES * self._interval_s
        return (one.samples[-1] for one in self._machines.values() if one.moments[-1] >= since)

    def _ends(self, over_s: float, ending_s: float) -> Iterator[tuple[Snapshot, Snapshot]]:
        until = self.now - ending_s
        found = (machine.ends(until - over_s, until) for machine in self._machines.values())
        return (ends for ends in found if ends is not None)


def _began_anew(before: MachineSample, now: MachineSample) -> bool:
    """Whether something that only grows has become less: what counts has been started anew."""
    alike = before.models == now.models
    for name, family in before.families.items():
        later = now.families.get(name)
        if family.metric.kind == "gauge":
            continue
        if later is None:
            return True
        counts, later_counts = _counts(family, by_model=alike), _counts(later, by_model=alike)
        if any(later_counts.get(labels, -1.0) < count * (1 - ROUNDING) for labels, count in counts.items()):
            return True
    return False


def _counts(family: Family, *, by_model: bool) -> Mapping[Labels, float]:
    """How much each series has counted; or those together that differ in the model alone."""
    counts = {**family.numbers, **{labels: one.count for labels, one in family.distributions.items()}}
    if by_model or MODEL not in family.metric.labels:
        return counts
    place, sums = family.metric.labels.index(MODEL), dict[Labels, float]()
    for labels, count in counts.items():
        rest = labels[:place] + labels[place + 1 :]
        sums[rest] = sums.get(rest, 0.0) + count
    return sums


def _shared_out_anew(last: Mapping[str, Family], raw: Mapping[str, Family]) -> Mapping[str, Family]:
    """What to put on top of series that other models have now, so that they go on from what they were."""
    return {
        name: _sum(family, _negated(raw[name]))
        for name, family in last.items()
        if family.metric.kind != "gauge" and MODEL in family.metric.labels and name in raw
    }


def _negated(family: Family) -> Family:
    distributions = {
        labels: Distribution(one.bounds, tuple(-count for count in one.counts), -one.sum)
        for labels, one in family.distributions.items()
    }
    return Family(family.metric, {labels: -count for labels, count in family.numbers.items()}, distributions)


def _after(raw: Snapshot, before: Mapping[str, Family]) -> Snapshot:
    """What was counted since a new start, on top of what was counted until then; gauges as they are."""
    families = dict(raw.families)
    for name, family in before.items():
        families[name] = _sum(family, families.get(name))
    return Snapshot(raw.at, families)


def _sum(one: Family, other: Family | None) -> Family:
    if other is None:
        return one
    numbers = dict(one.numbers)
    for labels, count in other.numbers.items():
        numbers[labels] = numbers.get(labels, 0.0) + count
    distributions = dict(one.distributions)
    for labels, distribution in other.distributions.items():
        mine = distributions.get(labels)
        distributions[labels] = distribution if mine is None else mine + distribution
    return Family(one.metric, numbers, distributions)
