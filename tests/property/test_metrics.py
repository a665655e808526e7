"""Figures of processes that come, count, and are killed at any moment, against a model that simply adds."""

import asyncio
from math import isclose

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from llm_service.observability import Arena, Distribution, Family, Meters, Snapshot, Whole
from llm_service.observability.metrics import catalog
from llm_service.observability.metrics.cells import Cells
from llm_service.observability.metrics.exposition import Exposition
from tests.support.arena import NamedLocks
from tests.support.clock import ManualClock

SLOTS = 3
MODELS = ["a", "b", "c", "d", "e"]
MOST = 4
AMOUNTS = st.floats(min_value=0, max_value=1e6, allow_nan=False)


class Machine(RuleBasedStateMachine):
    """A machine with room for three processes at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.locks = NamedLocks()
        self.arena = Arena(SLOTS, self.locks)
        self.processes: dict[str, Meters] = {}
        self.begun = 0
        self.money = 0.0
        self.values: list[float] = []
        self.gauges: dict[str, float] = {}
        self.whole = Whole(self.arena, clock=ManualClock())  # one reader from the first to the last

    @precondition(lambda self: len(self.processes) < SLOTS)
    @rule()
    def begins(self) -> None:
        self.begun += 1
        self.locks.who = f"process-{self.begun}"
        cells = self.arena.enter()
        assert cells is not None
        self.arena.own = None
        self.processes[self.locks.who] = Meters(cells, most_series=MOST)

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), model=st.sampled_from(MODELS), amount=AMOUNTS)
    def counts(self, data: st.DataObject, model: str, amount: float) -> None:
        self._one(data)[1].counter(catalog.SAVED, model).add(amount)
        self.money += amount

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), model=st.sampled_from(MODELS), value=AMOUNTS)
    def observes(self, data: st.DataObject, model: str, value: float) -> None:
        self._one(data)[1].histogram(catalog.TIME_TO_FIRST_CHUNK, model, "p").observe(value)
        self.values.append(value)

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), value=AMOUNTS)
    def shows(self, data: st.DataObject, value: float) -> None:
        who, meters = self._one(data)
        meters.show([(catalog.IN_FLIGHT, (), value)], at=1.0)
        self.gauges[who] = value

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def is_killed(self, data: st.DataObject) -> None:
        who, _ = self._one(data)
        del self.processes[who]
        self.gauges.pop(who, None)
        self.locks.ended(who)

    @invariant()
    def nothing_is_lost_and_nothing_is_counted_twice(self) -> None:
        self.locks.who = "reader"
        found = asyncio.run(self.whole.read())
        assert isclose(found.total("llm_saved_usd_total"), self.money, rel_tol=1e-9, abs_tol=1e-9)
        observed = found.distribution("llm_time_to_first_chunk_seconds")
        if self.values:
            assert observed is not None
            assert observed.count == len(self.values)
            assert isclose(observed.sum, sum(self.values), rel_tol=1e-9, abs_tol=1e-9)
            for bound, expected in zip(observed.bounds, _cumulated(self.values, observed.bounds), strict=True):
                assert sum(observed.counts[: observed.bounds.index(bound) + 1]) == expected
        assert isclose(found.total("llm_requests_in_flight"), sum(self.gauges.values()), rel_tol=1e-9, abs_tol=1e-9)

    @invariant()
    def no_process_has_more_series_than_it_may(self) -> None:
        for slot in self.arena.slots:
            named = [one for one in self.arena.look(slot).news() if one.metric == "llm_saved_usd_total"]
            assert len(named) <= MOST + 1
            assert len({one.labels for one in named}) == len(named)

    def _one(self, data: st.DataObject) -> tuple[str, Meters]:
        who = data.draw(st.sampled_from(sorted(self.processes)))
        return who, self.processes[who]


def _cumulated(values: list[float], bounds: tuple[float, ...]) -> list[int]:
    return [sum(value <= bound for value in values) for bound in bounds]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@given(
    series=st.lists(
        st.tuples(
            st.sampled_from(["a", "llm_b_total", "ö"]), st.lists(st.text(max_size=12), max_size=4), st.integers(1, 5)
        ),
        max_size=20,
    ),
    size=st.integers(16, 200),
)
def test_whatever_is_added_is_read_again_or_there_was_no_room(
    series: list[tuple[str, list[str], int]], size: int
) -> None:
    space = memoryview(bytearray(size * 8))
    cells, reader, added = Cells(space), Cells(space.toreadonly()), []
    cells.begin()
    for number, (name, labels, count) in enumerate(series, 1):
        cell = cells.add(name, tuple(labels), count=count)
        if cell is not None:
            for place in range(count):
                assert cells.view[cell + place] == 0.0
                cells.view[cell + place] = float(number)
            added.append((name, labels, cell, count, float(number)))
    found = list(reader.news())
    assert len(found) == len(added)
    lowest, values = reader.values()
    for one, (name, labels, cell, count, number) in zip(found, added, strict=True):
        assert one.cell == cell
        assert len(one.labels) == len(labels)
        assert [_text(label) for label in labels] == list(one.labels)
        assert one.metric == name
        assert values[cell - lowest : cell - lowest + count] == [number] * count


def _text(label: str) -> str:
    return label.replace("\x00", "?")


LABELS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00\x85\u2028\u2029"), max_size=20)


@given(
    counters=st.dictionaries(LABELS, st.floats(0, 1e18), max_size=5),
    gauges=st.dictionaries(LABELS, st.floats(allow_nan=False, allow_infinity=False), max_size=5),
    counts=st.lists(st.integers(0, 10**9), min_size=14, max_size=14),
    total=st.floats(0, 1e12),
    stage=LABELS,
)
def test_the_parsers_read_what_was_written(
    counters: dict[str, float], gauges: dict[str, float], counts: list[int], total: float, stage: str
) -> None:
    snapshot = Snapshot(
        0.0,
        {
            "llm_saved_usd_total": Family(catalog.SAVED, {(label,): value for label, value in counters.items()}, {}),
            "llm_provider_balance_usd": Family(
                catalog.PROVIDER_BALANCE, {(label,): value for label, value in gauges.items()}, {}
            ),
            "llm_overhead_seconds": Family(
                catalog.OVERHEAD, {}, {(stage,): Distribution(catalog.OVERHEAD_S, tuple(map(float, counts)), total)}
            ),
        },
    )
    exposition = Exposition(ManualClock())
    plain = asyncio.run(exposition.prometheus(snapshot)).decode()
    opened = asyncio.run(exposition.openmetrics(snapshot, lambda metric, labels: {})).decode()
    for parsed in (families(plain), open_families(opened)):
        samples = [sample for family in parsed for sample in family.samples]
        assert {s.labels["model"]: s.value for s in samples if s.name == "llm_saved_usd_total"} == counters
        assert {s.labels["provider"]: s.value for s in samples if s.name == "llm_provider_balance_usd"} == gauges
        buckets = [s for s in samples if s.name == "llm_overhead_seconds_bucket"]
        assert [s.value for s in buckets] == [sum(counts[: place + 1]) for place in range(14)]
        assert {s.labels["stage"] for s in buckets} == {stage}
        assert [s.value for s in samples if s.name == "llm_overhead_seconds_sum"] == [total]
