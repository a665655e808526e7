"""The service's own metrics, as ``/metrics`` has them, in OTLP's JSON form and under the same names."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from llm_service.observability.metrics import Distribution, Family, Labels, Metric, Snapshot
from llm_service.observability.metrics.catalog import STARTED
from llm_service.observability.otlp.encoding import CUMULATIVE, attributes, nanos

UNITS: Final = (("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1"))
PIECE: Final = 256
"""As many series are written at a time: some 2 ms."""


async def metrics_of(snapshot: Snapshot) -> Sequence[bytes]:
    """Every metric that has figures; sums are counted since the oldest process began.

    Gives others a turn on the event loop now and then.
    """
    since = snapshot.total(STARTED.name)
    written: list[bytes] = []
    series = 0
    for family in snapshot.families.values():
        if not family.numbers and not family.distributions:
            continue
        written.append(_metric(family, start=nanos(since) if since else "", now=nanos(snapshot.at)))
        series += len(family.numbers) + len(family.distributions)
        if series >= PIECE:
            series = 0
            await asyncio.sleep(0)
    return written


def _metric(family: Family, *, start: str, now: str) -> bytes:
    metric = family.metric
    written: dict[str, Any] = {"name": metric.name, "description": metric.help, "unit": _unit_of(metric)}
    if metric.kind == "histogram":
        points = list(_distributions(metric, family.distributions, start=start, now=now))
        written["histogram"] = {"aggregationTemporality": CUMULATIVE, "dataPoints": points}
    elif metric.kind == "counter":
        points = list(_numbers(metric, family.numbers, start=start, now=now))
        written["sum"] = {"aggregationTemporality": CUMULATIVE, "isMonotonic": True, "dataPoints": points}
    else:
        written["gauge"] = {"dataPoints": list(_numbers(metric, family.numbers, start="", now=now))}
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
