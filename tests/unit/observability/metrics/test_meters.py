"""What one process counts, within bounds."""

import asyncio
from math import isnan

import pytest

from llm_service.observability import Arena, Meters, Snapshot, Whole
from llm_service.observability.metrics import catalog
from llm_service.observability.metrics.cells import Cells
from tests.support.clock import ManualClock


class Bench:
    """One process alone."""

    def __init__(self, most_series: int = 1000) -> None:
        self.arena = Arena.alone()
        cells = self.arena.enter()
        assert cells is not None
        self.meters = Meters(cells, most_series=most_series)

    def read(self) -> Snapshot:
        return asyncio.run(Whole(self.arena, clock=ManualClock()).read())


def test_a_counter_counts() -> None:
    bench = Bench()
    evictions = bench.meters.counter(catalog.CACHE_EVICTIONS)
    evictions.add()
    evictions.add(2.5)
    assert bench.read().total("llm_cache_evictions_total") == 3.5


def test_the_same_labels_are_one_series() -> None:
    bench = Bench()
    for _ in range(3):
        bench.meters.counter(catalog.STREAMS, "ok").add()
    bench.meters.counter(catalog.STREAMS, "error").add()
    assert bench.read().by("llm_streams_total", "status") == {"ok": 3.0, "error": 1.0}


def test_a_bound_is_part_of_its_bucket_and_what_is_above_all_has_one_of_its_own() -> None:
    bench = Bench()
    histogram = bench.meters.histogram(catalog.OVERHEAD, "call")
    for value in (0.0, 0.00005, 0.00006, 0.5, 0.51, 9.0):
        histogram.observe(value)
    found = bench.read().distribution("llm_overhead_seconds", stage="call")
    assert found is not None
    assert (found.counts[0], found.counts[1], found.counts[-2], found.counts[-1]) == (2, 1, 1, 2)
    assert found.sum == pytest.approx(10.01011)


def test_other_numbers_of_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="llm_streams_total"):
        Bench().meters.counter(catalog.STREAMS)


def test_what_is_too_much_goes_to_one_series_and_is_told() -> None:
    bench = Bench(most_series=3)
    for number in range(10):
        bench.meters.counter(catalog.SAVED, f"model-{number}").add()
    found = bench.read()
    assert found.by("llm_saved_usd_total", "model") == {"model-0": 1, "model-1": 1, "model-2": 1, "other": 7}
    assert found.by("llm_metrics_series_dropped_total", "metric") == {"llm_saved_usd_total": 7}


def test_of_too_many_models_it_is_still_told_how_their_requests_ended() -> None:
    bench = Bench(most_series=40)
    for number in range(1000):
        status = "ok" if number % 10 else "error"
        bench.meters.counter(catalog.REQUESTS, "rest", f"model-{number}", "openrouter", status, "miss").add()
    found = bench.read()
    assert found.by("llm_requests_total", "status") == {"ok": 900, "error": 100}
    assert found.total("llm_requests_total", model="other", provider="openrouter") == 960


def test_a_quarter_more_than_too_many_is_the_end() -> None:
    bench = Bench(most_series=40)
    for number in range(1000):
        bench.meters.counter(catalog.TOKENS, f"model-{number}", f"provider-{number}", "input").add()
    found = bench.read()
    assert len(found.families["llm_tokens_total"].numbers) == 51
    assert found.total("llm_tokens_total") == 1000


def test_one_metric_of_too_many_series_leaves_the_others_alone() -> None:
    bench = Bench(most_series=1)
    bench.meters.counter(catalog.SAVED, "a").add()
    bench.meters.counter(catalog.SAVED, "b").add()
    bench.meters.counter(catalog.WASTED, "c").add()
    assert bench.read().by("llm_wasted_usd_total", "provider") == {"c": 1}


def test_where_there_is_no_room_at_all_nothing_fails_and_nothing_is_spoilt() -> None:
    cells = Cells(memoryview(bytearray(1024)))
    meters = Meters(cells)
    for number in range(100):
        meters.counter(catalog.SAVED, f"model-{number}").add()
        meters.histogram(catalog.REQUEST_DURATION, "m", "p", str(number)).observe(1e9)
    own = [cells.view[cell] for name, (label,), cell in _named(cells, "llm_saved_usd_total") if label != "other"]
    assert own
    assert set(own) == {1.0}


def _named(cells: Cells, metric: str) -> list[tuple[str, tuple[str, ...], int]]:
    return [series for series in Cells(cells._bytes).news() if series.metric == metric]


def test_a_gauge_that_is_told_no_more_has_no_value() -> None:
    bench = Bench()
    bench.meters.show([(catalog.WORKERS, (), 1.0), (catalog.PROVIDER_UP, ("a",), 1.0)], at=5.0)
    bench.meters.show([(catalog.WORKERS, (), 1.0)], at=6.0)
    found = bench.read()
    assert found.total("llm_workers") == 1
    assert "llm_provider_up" not in found.families
    bench.meters.show([(catalog.PROVIDER_UP, ("a",), 0.0)], at=7.0)
    assert bench.read().by("llm_provider_up", "provider") == {"a": 0.0}


def test_who_goes_on_in_the_memory_of_another_keeps_counters_and_forgets_gauges() -> None:
    space = memoryview(bytearray(1 << 16))
    before = Meters(Cells(space))
    before.counter(catalog.STREAMS, "ok").add(5)
    before.show([(catalog.WORKERS, (), 1.0)], at=1.0)
    after = Meters(Cells(space))
    after.counter(catalog.STREAMS, "ok").add(2)
    after.counter(catalog.STREAMS, "error").add(1)
    assert after.view[after.cell(catalog.STREAMS, ("ok",))] == 7
    assert isnan(after.view[after.cell(catalog.WORKERS, ())])
