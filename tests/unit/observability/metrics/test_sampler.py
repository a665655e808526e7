"""Gauges, and counters that others keep, as they are asked for."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from llm_service.observability import Arena, HttpMeter, Meters, ProcessFigures, Reading, Sampler, SharedTotal, Whole
from llm_service.observability.metrics import Rising, Snapshot, catalog
from llm_service.runtime import Pressure, SystemClock, Tasks
from tests.support.arena import arena_of
from tests.support.clock import ManualClock


class Home:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.arena = Arena.alone()
        cells = self.arena.enter()
        assert cells is not None
        self.meters = Meters(cells)
        self.failures: list[tuple[str, str]] = []

    def sampler(self, *sources, slow=()) -> Sampler:  # type: ignore[no-untyped-def]
        return Sampler(
            self.meters,
            sources=sources,
            slow=slow,
            clock=self.clock,
            on_failure=lambda work, failure: self.failures.append((work, str(failure))),
        )

    async def read(self) -> Snapshot:
        return await Whole(self.arena, clock=self.clock).read()


@pytest.fixture
def home() -> Home:
    return Home()


def one() -> Iterable[Reading]:
    yield catalog.WORKERS, (), 1.0


def broken() -> Iterable[Reading]:
    yield catalog.IN_FLIGHT, (), 2.0
    raise RuntimeError("a defect")


async def up() -> Iterable[Reading]:
    return [(catalog.STORE_UP, ("database",), 1.0)]


async def away() -> Iterable[Reading]:
    raise RuntimeError("away")


async def test_a_source_that_fails_is_told_and_costs_the_others_nothing(home: Home) -> None:
    sampler = home.sampler(broken, one, slow=[away, up])
    await sampler.ask()
    sampler.sample()
    found = await home.read()
    assert (found.total("llm_workers"), found.total("llm_store_up")) == (1, 1)
    assert home.failures == [("metrics", "away"), ("metrics", "a defect")]


async def test_what_was_asked_for_is_shown_until_it_is_asked_for_again(home: Home) -> None:
    sampler = home.sampler(slow=[up])
    await sampler.ask()
    for _ in range(3):
        sampler.sample()
    assert (await home.read()).total("llm_store_up") == 1
    sampler._slow = []
    await sampler.ask()
    sampler.sample()
    assert "llm_store_up" not in (await home.read()).families


async def test_what_one_tells_is_known_while_another_takes_long(home: Home) -> None:
    async def hangs() -> Iterable[Reading]:
        await asyncio.Event().wait()
        return ()

    sampler = home.sampler(slow=[up, hangs])
    asking = asyncio.create_task(sampler.ask())
    await _turns()
    sampler.sample()
    asking.cancel()
    assert (await home.read()).total("llm_store_up") == 1


async def test_the_sources_of_other_settings_replace_those_of_before(home: Home) -> None:
    sampler = home.sampler()
    sampler.of_service = [one]
    sampler.sample()
    sampler.of_service = [lambda: [(catalog.CONFIG_GENERATION, (), 2.0)]]
    sampler.sample()
    found = await home.read()
    assert found.total("llm_config_generation") == 2
    assert "llm_workers" not in found.families


async def test_it_asks_once_a_second(home: Home) -> None:
    asked: list[float] = []
    sampler = home.sampler(lambda: asked.append(home.clock.monotonic()) or ())
    tasks = Tasks(lambda work, failure: None)
    tasks.spawn(sampler.run(), name="metrics")
    for _ in range(3):
        await _turns()
        home.clock.advance(1.0)
    await _turns()
    await tasks.aclose()
    assert asked == [1000.0, 1001.0, 1002.0, 1003.0]


async def test_a_process_that_closes_is_neither_serving_nor_late(home: Home) -> None:
    sampler = home.sampler(lambda: [(catalog.WORKERS, (), 1.0), (catalog.LOOP_LAG, (), 0.0)])
    tasks = Tasks(lambda work, failure: None)
    tasks.spawn(sampler.run(), name="metrics")
    await _turns()
    assert (await home.read()).total("llm_workers") == 1
    await tasks.aclose()
    home.clock.advance(30.0)
    assert not (await home.read()).families


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_others_count_is_added_by_its_differences(home: Home) -> None:
    counter = home.meters.counter(catalog.CPU)
    rising = Rising(counter)
    for total in (3.0, 5.0, 5.0, 1.0):  # the last one: it began anew
        rising.at(total)
    assert home.meters.view[home.meters.cell(catalog.CPU, ())] == 6.0


class Totals:
    """What several processes say of one total."""

    def __init__(self, *who: str) -> None:
        arena, locks = arena_of(len(who))
        self.meters: list[Meters] = []
        self.of: list[SharedTotal] = []
        for locks.who in who:
            cells = arena.enter()
            assert cells is not None
            self.meters.append(Meters(cells))
            counter = self.meters[-1].counter(catalog.CACHE_EVICTIONS)
            self.of.append(SharedTotal(arena, counter, place=0, told_place=2))

    @property
    def added(self) -> float:
        return sum(meters.view[meters.cell(catalog.CACHE_EVICTIONS, ())] for meters in self.meters)


def test_what_all_processes_see_is_added_once() -> None:
    totals, now = Totals("a", "b"), 100.0
    for seen in (0.0, 4.0, 9.0, 2.0):  # the last one: it began anew
        for total in totals.of:
            total.at(seen, asked_at=now, now=now + 0.5)
            now += 1.0
    assert totals.added == 11.0


def test_what_a_store_had_counted_before_the_service_began_is_not_added() -> None:
    totals = Totals("a")
    totals.of[0].at(1e6, asked_at=1.0, now=2.0)
    totals.of[0].at(1e6 + 3.0, asked_at=3.0, now=4.0)
    assert totals.added == 3.0


def test_a_late_answer_to_an_earlier_question_is_no_new_beginning() -> None:
    totals = Totals("a", "b")
    totals.of[0].at(1e6, asked_at=1.0, now=2.0)
    totals.of[1].at(1e6 + 5.0, asked_at=6.1, now=6.2)
    totals.of[0].at(1e6 + 4.0, asked_at=6.0, now=6.3)
    totals.of[0].at(1e6 + 6.0, asked_at=11.0, now=11.1)
    assert totals.added == 6.0


async def test_the_process_tells_of_itself(home: Home, tmp_path: Path) -> None:
    pressure = Pressure(tmp_path, clock=SystemClock())
    pressure.start()
    pressure.in_flight = 3
    sampler = home.sampler(ProcessFigures(home.meters, pressure, version="1.2.3", clock=SystemClock()))
    sampler.sample()
    pressure.close()
    found = await home.read()
    assert found.by("llm_build_info", "version") == {"1.2.3": 1}
    assert found.total("llm_requests_in_flight") == 3
    assert found.total("llm_availability_objective_ratio") == 0.999
    assert 0 < found.total("process_cpu_seconds_total") < 10_000
    assert found.total("process_resident_memory_bytes") > 1_000_000
    assert found.total("process_open_fds") > 2
    assert found.total("process_start_time_seconds") > 1e9


async def test_http_answers_are_counted_by_template(home: Home) -> None:
    http = HttpMeter(home.meters)
    for _ in range(3):
        http.answered("GET", "/v1/models/{id:path}", 200)
    http.answered("BREW", "other", 999)
    family = (await home.read()).families["llm_http_requests_total"]
    assert family.numbers == {("GET", "/v1/models/{id:path}", "200"): 3, ("other", "other", "other"): 1}


async def test_invented_methods_take_no_room(home: Home) -> None:
    http = HttpMeter(home.meters)
    for number in range(1000):
        http.answered(f"M{number}", "other", 405)
    assert (await home.read()).families["llm_http_requests_total"].numbers == {("other", "other", "405"): 1000}
    assert not http._cells
