"""All processes of a machine as one: those that live, and those that have ended."""

import asyncio
import os
import signal
import tempfile

import pytest

from llm_service.observability import Arena, FileLocks, Meters, Snapshot, Whole
from llm_service.observability.metrics import catalog
from tests.support.arena import NamedLocks, arena_of
from tests.support.clock import ManualClock


def entered(arena: Arena, locks: NamedLocks, who: str) -> Meters:
    locks.who = who
    cells = arena.enter()
    assert cells is not None
    arena.own = None  # each process has an arena of its own; here all share one
    return Meters(cells)


def read(arena: Arena, locks: NamedLocks) -> Snapshot:
    locks.who = "reader"
    return asyncio.run(Whole(arena, clock=ManualClock()).read())


def test_counters_and_distributions_are_added_up() -> None:
    arena, locks = arena_of(3)
    for who, value in (("a", 0.02), ("b", 3.0)):
        meters = entered(arena, locks, who)
        meters.counter(catalog.STREAMS, "ok").add(2)
        meters.histogram(catalog.TIME_TO_FIRST_CHUNK, "m", "p").observe(value)
    found = read(arena, locks)
    assert found.total("llm_streams_total", status="ok") == 4
    distribution = found.distribution("llm_time_to_first_chunk_seconds")
    assert distribution is not None
    assert (distribution.count, distribution.sum) == (2, pytest.approx(3.02))


@pytest.mark.parametrize(
    ("metric", "labels", "merged"),
    [
        (catalog.IN_FLIGHT, (), 5.0),
        (catalog.LOOP_LAG, (), 3.0),
        (catalog.STORE_UP, ("limits",), 2.0),
        (catalog.PROVIDER_BALANCE, ("openrouter",), 2.0),
    ],
    ids=["sum", "max", "min", "latest"],
)
def test_gauges_become_one_as_they_are_meant_to(metric, labels, merged) -> None:  # type: ignore[no-untyped-def]
    arena, locks = arena_of(2)
    for who, value, at in (("a", 3.0, 999.0), ("b", 2.0, 999.5)):
        entered(arena, locks, who).show([(metric, labels, value)], at=at)
    assert read(arena, locks).total(metric.name) == merged


def test_an_event_loop_that_stands_still_is_seen_by_the_others() -> None:
    arena, locks = arena_of(3)
    for who, at in (("a", 999.5), ("stands", 940.0), ("ended", 900.0)):
        entered(arena, locks, who).show([(catalog.LOOP_LAG, (), 0.001)], at=at)
    locks.ended("ended")
    assert read(arena, locks).total("llm_event_loop_lag_seconds") == 59.0


def test_who_takes_a_place_over_is_not_late_before_it_has_told_anything() -> None:
    arena, locks = arena_of(1)
    entered(arena, locks, "a").show([(catalog.LOOP_LAG, (), 0.001)], at=10.0)
    locks.ended("a")
    entered(arena, locks, "b")
    assert "llm_event_loop_lag_seconds" not in read(arena, locks).families


def test_of_a_process_that_has_ended_the_counters_stay_and_the_gauges_go() -> None:
    arena, locks = arena_of(2)
    for who in ("a", "b"):
        meters = entered(arena, locks, who)
        meters.counter(catalog.STREAMS, "ok").add()
        meters.show([(catalog.WORKERS, (), 1.0)], at=1000.0)
    locks.ended("a")
    found = read(arena, locks)
    assert (found.total("llm_streams_total"), found.total("llm_workers")) == (2, 1)


def test_many_processes_one_after_the_other_need_no_more_room_and_lose_nothing() -> None:
    arena, locks = arena_of(2)
    for number in range(50):
        meters = entered(arena, locks, f"worker-{number}")
        meters.counter(catalog.STREAMS, "ok").add()
        meters.counter(catalog.SAVED, f"model-{number % 7}").add(0.5)
        locks.ended(f"worker-{number}")
    found = read(arena, locks)
    assert found.total("llm_streams_total") == 50
    assert found.total("llm_saved_usd_total") == 25


def test_more_processes_than_slots_find_none() -> None:
    arena, locks = arena_of(1)
    entered(arena, locks, "a")
    locks.who = "b"
    assert arena.enter() is None


def test_what_the_whole_alone_knows_is_added() -> None:
    arena, locks = arena_of(1)
    entered(arena, locks, "a").counter(catalog.STREAMS, "ok").add(3)
    whole = Whole(
        arena,
        clock=ManualClock(),
        more=lambda found: [(catalog.AVAILABILITY, ("1h",), found.total("llm_streams_total"))],
    )
    assert asyncio.run(whole.read()).total("llm_availability_ratio", window="1h") == 3


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_process_that_is_killed_leaves_what_it_has_counted_and_its_successor_goes_on() -> None:
    """Real processes, with the system's own locks."""
    with tempfile.TemporaryFile() as file:
        arena = Arena.for_workers(1, FileLocks(file))
        for turn in range(3):
            if (pid := os.fork()) == 0:
                _count_until_killed(arena, turn)
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        found = asyncio.run(Whole(arena, clock=ManualClock()).read())
        used = [slot for slot in arena.slots if list(arena.look(slot).news())]
    assert found.total("llm_streams_total", status="ok") == 3000
    assert found.by("llm_saved_usd_total", "model") == {"model-0": 1.0, "model-1": 1.0, "model-2": 1.0}
    assert "llm_workers" not in found.families
    assert used == [0]


def _count_until_killed(arena: Arena, turn: int) -> None:
    try:
        cells = arena.enter()
        assert cells is not None
        meters = Meters(cells)
        counter = meters.counter(catalog.STREAMS, "ok")
        for _ in range(1000):
            counter.add()
        meters.counter(catalog.SAVED, f"model-{turn}").add()
        meters.show([(catalog.WORKERS, (), 1.0)], at=1000.0)
        os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_living_process_is_seen_as_such_by_another() -> None:
    with tempfile.TemporaryFile() as file:
        arena = Arena.for_workers(1, FileLocks(file))
        ready, go = os.pipe(), os.pipe()
        if (pid := os.fork()) == 0:
            try:
                arena.enter()
                os.write(ready[1], b".")
                os.read(go[0], 1)
            finally:
                os._exit(0)
        os.read(ready[0], 1)
        alive = arena.lives(0), arena.lives(1)
        os.write(go[1], b".")
        os.waitpid(pid, 0)
        for end in (*ready, *go):
            os.close(end)
        assert (alive, arena.lives(0)) == ((True, False), False)
