"""The service's own metrics, as ``/metrics`` has them, in OTLP's JSON form and under the same names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from llm_service.observability.metrics import Distribution, Family, Labels, Metric, Snapshot
from llm_service.observability.metrics.catalog import STARTED
from llm_service.observability.otlp.encoding import CUMULATIVE, Pieces, attributes, nanos

UNITS: Final = (("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1"))


async def metrics_of(snapshot: Snapshot) -> Sequence[bytes]:
    """Every metric that has figures; sums are counted since the oldest process began.

    Gives others a turn on the event loop now and then.
    """
    since, pieces = snapshot.total(STARTED.name), Pieces()
    start, now = nanos(since) if since else "", nanos(snapshot.at)
    return [
        await _metric(family, pieces, start=start, now=now)
        for family in snapshot.families.values()
        if family.numbers or family.distributions
    ]


async def _metric(family: Family, pieces: Pieces, *, start: str, now: str) -> bytes:
    metric = family.metric
    written: dict[str, Any] = {"name": metric.name, "description": metric.help, "unit": _unit_of(metric)}
    if metric.kind == "histogram":
        points = await pieces.of(_distributions(metric, family.distributions, start=start, now=now))
        written["histogram"] = {"aggregationTemporality": CUMULATIVE, "dataPoints": points}
    elif metric.kind == "counter":
        points = await pieces.of(_numbers(metric, family.numbers, start=start, now=now))
        written["sum"] = {"aggregationTemporality": CUMULATIVE, "isMonotonic": True, "dataPoints": points}
    else:
        written["gauge"] = {"dataPoints": await pieces.of(_numbers(metric, family.numbers, start="", now=now))}
    return orjson.dumps(written)


def _unit_of(metric: Metric) -> str:
    """By the name's end, so that Prometheus gets the same name again out of both."""
    name = metric.name.removesuffix("_total")
    return next((unit for suffix, unit in UNITS if name.endswith(suffix)), "")


def _numbers(metric: Metric, numbers: Mapping[Labels, float], *, start: str, now: str) -> Iterator[dict[str, Any]]:
    for labels, value in numbers.items():
        yield {**_place(metric, labels, start=start, now=now), "asDouble": float(value)}


def _distributions(
    metric: Metric, distributions: Mapping[Labels, Distribution], *, start: str, now: str
) -> Iterator[dict[str, Any]]:
    for labels, one in distributions.items():
        yield {
            **_place(metric, labels, start=start, now=now),
            "count": str(round(one.count)),
            "sum": one.sum,
            "bucketCounts": [str(round(count)) for count in one.counts],
            "explicitBounds": one.bounds,
        }


def _place(metric: Metric, labels: Labels, *, start: str, now: str) -> dict[str, Any]:
    place: dict[str, Any] = {
        "attributes": attributes(dict(zip(metric.labels, labels, strict=True))),
        "timeUnixNano": now,
    }
    return {**place, "startTimeUnixNano": start} if start else place
