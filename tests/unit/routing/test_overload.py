"""When new requests are refused: for which pressure, until when, and how many go on."""

from pathlib import Path
from typing import Any

import pytest

from llm_service.routing import Overload, OverloadOptions
from llm_service.runtime import Pressure
from tests.support.clock import ManualClock
from tests.support.service import LogLines

MB = 1024 * 1024
EVERYBODY = 1_000_000_000


class World:
    """A process that is pressed as the test says."""

    def __init__(self, tmp_path: Path, *, workers: int = 1, **options: Any) -> None:
        self.clock = ManualClock()
        self.log = LogLines()
        self.pressure = Pressure(tmp_path, clock=self.clock)
        self.given_back = 0
        self.overload = Overload(
            self.pressure,
            OverloadOptions(**options),
            workers=workers,
            clock=self.clock,
            log=self.log,
            give_back=self._give_back,
        )

    def _give_back(self) -> None:
        self.given_back += 1

    def late(self, *late_s: float) -> int:
        """Ticks come so late; how many requests there is room for then."""
        for one in late_s:
            self.clock.advance(0.1 + one)
            self.pressure.lag.note(one, now=self.clock.monotonic())
        return self.room()

    def full(self, memory_bytes: int) -> int:
        """So much memory is used; how many requests there is room for then."""
        self.clock.advance(1)
        self.pressure.memory_bytes = memory_bytes
        return self.room()

    def room(self) -> int:
        self.pressure.measured += 1
        self.overload.judge()
        return self.overload.room


def test_a_process_at_ease_takes_everybody(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.late(0, 0, 0) == EVERYBODY
    assert (world.overload.why, world.log.lines) == (None, [])


def test_no_more_than_so_many_requests_are_in_flight(tmp_path: Path) -> None:
    world = World(tmp_path, max_in_flight=2)
    assert world.room() == 2
    world.pressure.in_flight = 1
    assert world.overload.why is None
    world.pressure.in_flight = 2
    assert world.overload.why == "requests_in_flight"


def test_one_halt_refuses_nobody(tmp_path: Path) -> None:
    assert World(tmp_path).late(0, 0, 0, 20.0) == EVERYBODY


def test_while_the_loop_is_late_one_request_at_a_time_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, max_lag_s=1)
    assert world.late(0, 2.5, 2.5) == 1
    assert world.overload.why is None
    world.pressure.in_flight = 1
    assert world.overload.why == "event_loop_lag"


def test_refusing_for_lag_ends_at_half_of_the_bound(tmp_path: Path) -> None:
    world = World(tmp_path, max_lag_s=1)
    assert world.late(1.2, 1.2, 1.2) == 1
    assert world.late(0.9, 0.9, 0.9) == 1
    assert world.late(0.4, 0.4, 0.4) == EVERYBODY
    assert world.late(0.9, 0.9, 0.9) == EVERYBODY
    assert [line["event"] for line in world.log.lines] == ["requests are refused", "requests are taken again"]


def test_refusing_for_memory_ends_a_little_below_the_bound(tmp_path: Path) -> None:
    world = World(tmp_path, max_memory_bytes=100 * MB)
    assert world.full(100 * MB) == EVERYBODY
    assert world.full(101 * MB) == 1
    assert world.full(96 * MB) == 1
    assert world.full(95 * MB) == EVERYBODY
    assert world.full(99 * MB) == EVERYBODY


def test_memory_that_is_free_is_given_back_when_it_is_short_and_every_ten_seconds_then(tmp_path: Path) -> None:
    world = World(tmp_path, max_memory_bytes=100 * MB)
    world.full(90 * MB)
    assert world.given_back == 0
    for _ in range(10):
        world.full(110 * MB)
    assert world.given_back == 1
    world.full(110 * MB)
    assert world.given_back == 2


@pytest.mark.parametrize(("workers", "expected"), [(1, 900), (3, 300)])
def test_without_a_setting_the_bound_is_the_share_of_the_control_group(
    tmp_path: Path, workers: int, expected: int
) -> None:
    world = World(tmp_path, workers=workers)
    assert world.overload.max_memory_bytes is None
    assert world.full(1000 * MB) == EVERYBODY
    world.pressure.memory_limit_bytes = 1000 * MB
    assert world.overload.max_memory_bytes == expected * MB
    assert world.full(expected * MB + 1) == 1


def test_in_a_small_control_group_something_can_be_served_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pressure.memory_limit_bytes = 100 * MB
    world.pressure.memory_at_start_bytes = 95 * MB
    assert world.overload.max_memory_bytes == 159 * MB


def test_no_bounds_refuse_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, max_lag_s=None)
    assert world.late(50, 50, 50) == EVERYBODY
    assert world.full(10**13) == EVERYBODY


def test_what_was_measured_is_judged_once(tmp_path: Path) -> None:
    world = World(tmp_path, max_memory_bytes=100 * MB)
    world.full(1)
    world.pressure.memory_bytes = 200 * MB
    world.overload.judge()
    assert world.overload.room == EVERYBODY


def test_the_log_tells_why_and_how_many_were_refused(tmp_path: Path) -> None:
    world = World(tmp_path, max_memory_bytes=100 * MB)
    world.pressure.in_flight = 7
    world.full(110 * MB)
    world.overload.refused = 12
    world.full(10 * MB)
    begun, ended = world.log.lines
    assert (begun["why"], begun["in_flight"], begun["memory_bytes"]) == ("memory", 7, 110 * MB)
    assert (ended["why"], ended["refused"]) == ("memory", 12)
