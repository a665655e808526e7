"""What was measured up to one moment, whoever counted it: by name and labels, to be added up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from llm_service.domain import fact_in_order
from llm_service.observability.metrics.metric import Metric

Labels = tuple[str, ...]
"""The values of a series's labels, in the order of ``Metric.labels``."""


@fact_in_order
class Distribution:
    """How often a value fell into each bucket, and the sum of all values.

    ``counts``: one for each upper bound and one more for what is above the last of them; not cumulated.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float

    @property
    def count(self) -> float:
        """How many values there were."""
        return sum(self.counts)

    def __add__(self, other: "Distribution") -> "Distribution":
        counts = tuple(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True))
        return Distribution(self.bounds, counts, self.sum + other.sum)

    def since(self, earlier: "Distribution") -> "Distribution":
        """What was added after an earlier moment; never less than nothing, should a process have begun anew."""
        counts = tuple(max(now - then, 0.0) for now, then in zip(self.counts, earlier.counts, strict=True))
        return Distribution(self.bounds, counts, max(self.sum - earlier.sum, 0.0))

    def quantile(self, q: float) -> float | None:
        """The value that a share ``q`` of all did not pass, by even spread within its bucket; ``None``: there are none.

        What lies above the last bound is given as that bound, as Prometheus's ``histogram_quantile`` does.
        """
        wanted, passed, lower = q * self.count, 0.0, 0.0
        if not self.count:
            return None
        for bound, count in zip(self.bounds, self.counts, strict=False):
            if count and passed + count >= wanted:
                return lower + (bound - lower) * (wanted - passed) / count
            passed, lower = passed + count, bound
        return self.bounds[-1]

    def share_above(self, bound: float) -> float | None:
        """The share of values above one of the bounds; ``None``: there are no values."""
        total = self.count
        if not total:
            return None
        below = sum(count for upper, count in zip(self.bounds, self.counts, strict=False) if upper <= bound)
        return 1.0 - below / total


@fact_in_order
class Family:
    """All series of one metric. Counters and gauges have numbers, histograms have distributions."""

    metric: Metric
    numbers: Mapping[Labels, float]
    distributions: Mapping[Labels, Distribution]


@fact_in_order
class Snapshot:
    """All families by the metric's name. ``at``: seconds since the epoch."""

    at: float
    families: Mapping[str, Family] = field(default_factory=dict)

    def total(self, name: str, **where: str | Sequence[str]) -> float:
        """The sum over the series whose labels have these values, or one of several; 0 where there are none."""
        family = self.families.get(name)
        if family is None:
            return 0.0
        return sum(family.numbers[labels] for labels in _selected(family, family.numbers, where))

    def distribution(self, name: str, **where: str | Sequence[str]) -> Distribution | None:
        """The sum of the distributions of such series; ``None`` where there are none."""
        family = self.families.get(name)
        if family is None:
            return None
        found = [family.distributions[labels] for labels in _selected(family, family.distributions, where)]
        return sum(found[1:], found[0]) if found else None

    def by(self, name: str, label: str, **where: str | Sequence[str]) -> dict[str, float]:
        """The same sums as ``total`` has, apart for each value of one label."""
        family = self.families.get(name)
        sums: dict[str, float] = {}
        if family is not None:
            place = family.metric.labels.index(label)
            for labels in _selected(family, family.numbers, where):
                sums[labels[place]] = sums.get(labels[place], 0.0) + family.numbers[labels]
        return sums


def _selected(
    family: Family, series: Mapping[Labels, object], where: Mapping[str, str | Sequence[str]]
) -> Iterator[Labels]:
    """Raises ValueError for a label that the metric does not have."""
    wanted = [
        (family.metric.labels.index(label), (values,) if isinstance(values, str) else tuple(values))
        for label, values in where.items()
    ]
    return (labels for labels in series if all(labels[place] in values for place, values in wanted))
