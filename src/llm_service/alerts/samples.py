"""A machine's sample: of its figures those that alerts go by, with the labels that they need, as compact JSON."""

from collections.abc import Callable, Collection, Mapping
from math import isfinite
from sys import intern
from types import MappingProxyType
from typing import Any, Final

import orjson

from llm_service.alerts.history import MODEL, NO_NUMBERS, MachineSample
from llm_service.observability import Distribution, Family, Labels, Metric, Snapshot, catalog

KEPT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        catalog.REQUESTS.name: ("status",),
        catalog.REQUEST_ERRORS.name: ("fault",),
        catalog.REQUEST_DURATION.name: ("model", "provider"),
        catalog.TIME_TO_FIRST_CHUNK.name: ("model", "provider"),
        catalog.COST.name: ("provider",),
        catalog.CACHE_HITS.name: ("kind",),
        catalog.CACHE_MISSES.name: (),
        catalog.ATTEMPTS.name: ("provider", "outcome"),
        catalog.BUDGET_USED.name: ("scope",),
        catalog.LIMIT_DRIFT.name: (),
        catalog.PROVIDER_UP.name: ("provider",),
        catalog.PROVIDER_BALANCE.name: ("provider",),
        catalog.STORE_UP.name: ("store",),
        catalog.LEDGER_BACKLOG.name: (),
        catalog.LEDGER_BACKLOG_AGE.name: (),
    }
)
"""The labels that are kept of each family; series that differ in others alone become one."""
NONE: Final = 0.0
"""Most buckets are empty. Thousands of samples are kept at once: they share this, and the texts of their labels."""
OTHER: Final = ""
"""Stands for every model that no rule names."""


def condensed(
    whole: Snapshot, *, models: Collection[str] = (), is_on: Callable[[str], bool] = lambda _: True
) -> MachineSample:
    """What alerts go by. ``models``: those that rules name. Who is switched off (``is_on``) is not down."""
    families: dict[str, Family] = {}
    for name, kept in KEPT.items():
        family = whole.families.get(name)
        if family is not None:
            families[name] = _condensed(family, kept, models)
    up = families.get(catalog.PROVIDER_UP.name)
    if up is not None:
        numbers = {labels: value for labels, value in up.numbers.items() if is_on(labels[0])}
        families[catalog.PROVIDER_UP.name] = Family(up.metric, numbers, {})
    return MachineSample(whole.at, families, frozenset(models))


def sample_text(sample: MachineSample) -> str:
    """A condensed snapshot as JSON: by family the series' labels with their number, or buckets and sum."""
    families = {
        name: [
            *([labels, _short(number)] for labels, number in family.numbers.items()),
            *(
                [labels, [_short(count) for count in one.counts], one.sum]
                for labels, one in family.distributions.items()
            ),
        ]
        for name, family in sample.families.items()
    }
    return orjson.dumps({"at": sample.at, "models": sorted(sample.models), "families": families}).decode()


def read_sample(text: str) -> MachineSample:
    """The snapshot of such a text; families, labels and buckets that this version does not know are left out.

    Raises ValueError for what is no such text.
    """
    try:
        told: dict[str, Any] = orjson.loads(text)
        families = {name: _read(_METRICS[name], rows) for name, rows in told["families"].items() if name in _METRICS}
        return MachineSample(float(told["at"]), families, frozenset(told.get("models", ())))
    except (AttributeError, KeyError, TypeError, IndexError, orjson.JSONDecodeError) as error:
        raise ValueError("no sample of figures") from error


def _as_kept(name: str) -> Metric:
    metric = catalog.ALL[name]
    return Metric(metric.name, metric.kind, metric.help, KEPT[name], metric.bounds, metric.merge)


_METRICS: Final[Mapping[str, Metric]] = MappingProxyType({name: _as_kept(name) for name in KEPT})


def _condensed(family: Family, kept: tuple[str, ...], models: Collection[str]) -> Family:
    metric = _METRICS[family.metric.name]
    places = [family.metric.labels.index(label) for label in kept]
    model_at = kept.index(MODEL) if MODEL in kept else None

    def of(labels: Labels) -> Labels:
        values = [labels[place] for place in places]
        if model_at is not None and values[model_at] not in models:
            values[model_at] = OTHER
        return tuple(values)

    numbers: dict[Labels, float] = {}
    for labels, number in family.numbers.items():
        if not isfinite(number):
            continue  # JSON has no word for it, and no rule an answer
        key = of(labels)
        numbers[key] = _merged(metric, numbers[key], number) if key in numbers else number
    distributions: dict[Labels, Distribution] = {}
    for labels, one in family.distributions.items():
        key = of(labels)
        distributions[key] = distributions[key] + one if key in distributions else one
    return Family(metric, numbers, distributions)


def _merged(metric: Metric, one: float, other: float) -> float:
    if metric.kind != "gauge" or metric.merge == "sum":
        return one + other
    return min(one, other) if metric.merge == "min" else max(one, other)


def _read(metric: Metric, rows: list[list[Any]]) -> Family:
    fitting = [row for row in rows if len(row[0]) == len(metric.labels)]
    if metric.kind != "histogram":
        return Family(metric, {_labels(row): float(row[1]) for row in fitting}, {})
    buckets = len(metric.bounds) + 1
    distributions = {
        _labels(row): Distribution(
            metric.bounds, tuple(float(count) if count else NONE for count in row[1]), float(row[2])
        )
        for row in fitting
        if len(row[1]) == buckets
    }
    return Family(metric, NO_NUMBERS, distributions)


def _labels(row: list[Any]) -> Labels:
    return tuple(map(intern, row[0]))


def _short(number: float) -> float | int:
    """Whole numbers take less room without their point."""
    return int(number) if float(number).is_integer() else number
