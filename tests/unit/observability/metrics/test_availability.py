"""Which share of the requests was answered, in windows that outlive processes."""

import pytest

from llm_service.observability import Availability, Snapshot
from llm_service.observability.metrics import catalog
from llm_service.observability.metrics.snapshot import Family
from tests.support.arena import arena_of
from tests.support.clock import ManualClock

MINUTE = 60.0
HOUR = 3600.0


def counted(good: float, *, ours: float = 0.0, theirs: float = 0.0) -> Snapshot:
    """So many answers since the start, and so many failures by our and by the callers' fault."""
    requests = Family(catalog.REQUESTS, {("rest", "m", "p", "ok", "miss"): good}, {})
    errors = {("overloaded", "gateway"): ours / 2, ("upstream_error", "upstream"): ours / 2, ("x", "caller"): theirs}
    return Snapshot(
        0.0, {"llm_requests_total": requests, "llm_request_errors_total": Family(catalog.REQUEST_ERRORS, errors, {})}
    )


class Watched:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.arena, self.locks = arena_of(2)
        self.availability = Availability(self.arena, clock=self.clock)

    def ratios(self, snapshot: Snapshot) -> dict[str, float]:
        return {window: value for _, (window,), value in self.availability.readings(snapshot)}

    def passes(self, seconds: float, good: float, *, ours: float = 0.0) -> None:
        """Time goes by, a note a minute; in the end it has counted so much."""
        for _ in range(int(seconds // MINUTE)):
            self.clock.advance(MINUTE)
            assert self.availability.is_due
            self.availability.note(counted(good, ours=ours))


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_without_requests_nothing_is_said(watched: Watched) -> None:
    assert watched.ratios(counted(0)) == {}


def test_from_the_first_minute_on_there_is_a_figure(watched: Watched) -> None:
    assert watched.ratios(counted(99, ours=1)) == {"1h": 0.99, "24h": 0.99}


def test_what_is_the_callers_fault_does_not_count(watched: Watched) -> None:
    assert watched.ratios(counted(10, theirs=90)) == {"1h": 1.0, "24h": 1.0}


def test_the_short_window_forgets_what_the_long_one_still_has(watched: Watched) -> None:
    watched.passes(2 * HOUR, 80, ours=20)
    assert watched.ratios(counted(180, ours=20)) == {"1h": 1.0, "24h": 0.9}


def test_a_day_and_more_later_the_long_window_has_forgotten_it_too(watched: Watched) -> None:
    watched.passes(60, 0, ours=100)
    watched.passes(26 * HOUR, 50, ours=100)
    assert watched.ratios(counted(100, ours=100)) == {"1h": 1.0, "24h": 1.0}


def test_notes_are_made_once_a_minute_whoever_makes_them(watched: Watched) -> None:
    other = Availability(watched.arena, clock=watched.clock)
    watched.clock.advance(MINUTE)
    watched.availability.note(counted(10))
    assert not other.is_due
    other.note(counted(999))
    watched.clock.advance(HOUR)
    assert watched.ratios(counted(20)) == {"1h": 1.0, "24h": 1.0}
    assert watched.availability._before(watched.clock.monotonic())[1] == 10


def test_while_another_process_writes_nobody_else_does(watched: Watched) -> None:
    watched.clock.advance(MINUTE)
    watched.locks.who = "another"
    assert watched.arena.turn()
    watched.locks.who = "this"
    watched.availability.note(counted(10))
    assert watched.availability.is_due


def test_a_process_that_comes_later_knows_the_windows(watched: Watched) -> None:
    watched.passes(2 * HOUR, 80, ours=20)
    later = Availability(watched.arena, clock=watched.clock)
    assert later.readings(counted(180, ours=20)) == watched.availability.readings(counted(180, ours=20))
