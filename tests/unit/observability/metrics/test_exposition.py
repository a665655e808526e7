"""The text that scrapers get, judged by Prometheus's own parsers."""

import asyncio
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from llm_service.observability import Arena, Exemplar, Meters, Metric, Scrape, Whole
from llm_service.observability.metrics import catalog
from llm_service.observability.metrics.exposition import Exposition, wants_openmetrics
from llm_service.observability.metrics.snapshot import Distribution, Family, Snapshot
from tests.support.clock import ManualClock

ODD = 'a"b\\c\nd%s é,}{='
OPEN = "application/openmetrics-text;version=1.0.0"


def snapshot() -> Snapshot:
    counted = Distribution(catalog.OVERHEAD_S, tuple(float(n) for n in range(len(catalog.OVERHEAD_S) + 1)), 12.5)
    of_metrics = [
        Family(catalog.STREAMS, {("ok",): 3.0, ("error",): 0.25}, {}),
        Family(catalog.CACHE_MISSES, {(): 7.0}, {}),
        Family(catalog.SAVED, {(ODD,): 1e-9}, {}),
        Family(catalog.PROVIDER_BALANCE, {("openrouter",): -2.5}, {}),
        Family(catalog.OVERHEAD, {}, {("call",): counted, (ODD,): counted}),
    ]
    return Snapshot(1.0, {family.metric.name: family for family in of_metrics})


def text(exemplars: Any = None) -> str:
    exposition = Exposition(ManualClock())
    shown = exposition.prometheus(snapshot()) if exemplars is None else exposition.openmetrics(snapshot(), exemplars)
    return asyncio.run(shown).decode()


def samples(found: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in found
        for sample in family.samples
    }


def expected() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for name, family in snapshot().families.items():
        for labels, value in family.numbers.items():
            found[name, tuple(sorted(zip(family.metric.labels, labels, strict=True)))] = value
        for labels, counted in family.distributions.items():
            own = dict(zip(family.metric.labels, labels, strict=True))
            total = 0.0
            for bound, count in zip((*counted.bounds, float("inf")), counted.counts, strict=True):
                total += count
                le = "+Inf" if bound == float("inf") else repr(bound)
                found[f"{name}_bucket", tuple(sorted({**own, "le": le}.items()))] = total
            found[f"{name}_count", tuple(sorted(own.items()))] = total
            found[f"{name}_sum", tuple(sorted(own.items()))] = counted.sum
    return found


def test_the_text_format_says_what_the_snapshot_has() -> None:
    found = list(families(text()))
    assert samples(found) == expected()
    assert {family.name: family.type for family in found}["llm_overhead_seconds"] == "histogram"


def test_openmetrics_says_the_same_and_is_valid() -> None:
    found = list(open_families(text(lambda metric, labels: {})))
    assert samples(found) == expected()
    assert {family.type for family in found} == {"counter", "gauge", "histogram"}


def test_every_metric_of_the_catalogue_is_valid_in_both_formats() -> None:
    arena = Arena.alone()
    cells = arena.enter()
    assert cells is not None
    meters = Meters(cells)
    for metric in catalog.ALL.values():
        meters.view[meters.cell(metric, tuple(f"{label} value" for label in metric.labels))] = 1.0
    scrape = Scrape(Whole(arena, clock=ManualClock()), meters, clock=ManualClock())
    plain, _ = asyncio.run(scrape.text(""))
    opened, _ = asyncio.run(scrape.text(OPEN))
    names = {metric.name.removesuffix("_total") for metric in catalog.ALL.values()}
    assert {family.name.removesuffix("_total") for family in families(plain.decode())} == names
    assert {family.name for family in open_families(opened.decode())} == names


def test_a_bucket_points_to_a_trace_where_the_format_allows_it() -> None:
    one = Exemplar("0af7651916cd43dd8448eb211c80319c", 0.0002, 1795.25)

    def kept(metric: Metric, labels: tuple[str, ...]) -> dict[int, Exemplar]:
        return {2: one} if (metric, labels) == (catalog.OVERHEAD, ("call",)) else {}

    found = [
        sample.exemplar
        for family in open_families(text(kept))
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert [(one.labels, one.value, float(one.timestamp)) for one in found] == [
        ({"trace_id": "0af7651916cd43dd8448eb211c80319c"}, 0.0002, 1795.25)
    ]
    assert "trace_id" not in text()


@pytest.mark.parametrize(
    ("accept", "open_metrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        (OPEN, True),
        # Prometheus 2.42, then 3.5
        (f"{OPEN},application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        (f"{OPEN};escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4", True),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", False),
        (f"text/plain;version=0.0.4,{OPEN};q=0.5", False),
        (f"{OPEN};q=0", False),
        ("application/openmetrics-text; q=x", False),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", False),
        (";,=;q=", False),
    ],
)
def test_who_takes_openmetrics_gets_it_and_nobody_else(accept: str, open_metrics: bool) -> None:
    assert wants_openmetrics(accept) is open_metrics
