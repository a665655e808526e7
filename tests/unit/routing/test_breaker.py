"""When a deployment is left alone, and how it comes back."""

import pytest

from llm_service.domain import Candidate
from llm_service.routing import Breaker, BreakerOptions
from tests.support.clock import ManualClock

OPTIONS = BreakerOptions(failures=3, error_ratio=0.5, min_requests=10, window_s=10, open_s=1, open_max_s=4)
DEPLOYMENT = Candidate(provider="deepseek", upstream_model="deepseek-chat")


class Site:
    """A breaker and its time."""

    def __init__(self, options: BreakerOptions = OPTIONS, *, may_eject: bool = True) -> None:
        self.now = 100.0
        self.told: list[str] = []
        self.breaker = Breaker(
            DEPLOYMENT,
            options,
            time=lambda: 1_000_000 + self.now,
            may_eject=lambda breaker: may_eject,
            tell=lambda breaker, change: self.told.append(change),
        )

    def request(self) -> int:
        return self.breaker.permits(self.now)

    def fails(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.now, self.request(), "it answered 503")

    def succeeds(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.succeeded(self.now, self.request())

    @property
    def state(self) -> str:
        return self.breaker.state(self.now)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def opened() -> Site:
    site = Site()
    site.fails(3)
    return site


def test_failures_in_a_row_open_it(site: Site) -> None:
    site.fails(2)
    site.succeeds()
    site.fails(2)
    assert site.breaker.closed
    site.fails()
    assert (site.state, site.breaker.closed, site.request()) == ("open", False, 0)
    assert (site.breaker.cause, site.breaker.since) == ("it answered 503", 1_000_100.0)
    assert site.told == ["opened"]


def test_a_share_of_failures_opens_it_once_there_are_enough_requests(site: Site) -> None:
    for _ in range(4):
        site.fails()
        site.succeeds()
    site.succeeds()
    assert site.breaker.closed
    site.fails()
    assert site.breaker.broken
    assert site.breaker.by_ratio


def test_a_share_of_failures_alone_opens_only_what_may_be_left_out() -> None:
    site = Site(may_eject=False)
    for _ in range(20):
        site.fails(2)
        site.succeeds()
    assert site.breaker.closed
    site.fails(3)
    assert site.breaker.broken
    assert not site.breaker.by_ratio


def test_what_failed_before_the_window_says_nothing(site: Site) -> None:
    for _ in range(4):
        site.fails()
        site.succeeds()
    site.now += 10
    site.succeeds(4)
    site.fails(2)
    assert site.breaker.closed
    assert site.breaker.counts(site.now) == (6, 2)


def test_after_a_while_one_request_tries_it(opened: Site) -> None:
    opened.now += 0.99
    assert not opened.breaker.ready(opened.now)
    opened.now += 0.01
    assert opened.state == "half_open"
    assert opened.breaker.ready(opened.now)
    assert opened.request()
    assert not opened.breaker.ready(opened.now)
    assert not opened.request()
    assert opened.state == "half_open"


def test_good_probe_closes_it_and_forgets_the_failures(opened: Site) -> None:
    opened.now += 1
    opened.succeeds()
    assert (opened.state, opened.breaker.cause, opened.breaker.since) == ("closed", "", 1_000_101.0)
    opened.fails(2)
    assert opened.breaker.closed
    assert opened.told == ["opened", "closed"]


def test_each_bad_probe_doubles_the_time_up_to_the_longest(opened: Site) -> None:
    pauses = []
    for _ in range(5):
        pauses.append(opened.breaker.open_until - opened.now)
        opened.now = opened.breaker.open_until
        opened.fails()
    assert pauses == [1, 2, 4, 4, 4]
    assert opened.breaker.since == 1_000_100.0
    opened.now += 4
    opened.succeeds()
    opened.fails(3)
    assert opened.breaker.open_until - opened.now == 1


def test_probe_without_a_verdict_leaves_its_place_to_the_next_request(opened: Site) -> None:
    opened.now += 1
    probe = opened.request()
    opened.breaker.abandoned(opened.now, probe)
    opened.breaker.abandoned(opened.now, probe)
    assert opened.request() not in (0, probe)
    assert not opened.request()
    assert opened.told == ["opened", "abandoned"]


def test_probe_that_is_silent_makes_room_and_may_still_close_it(opened: Site) -> None:
    opened.now += 1
    slow = opened.request()
    opened.now += 3.9
    assert not opened.request()
    opened.now += 0.1
    assert opened.request()
    opened.breaker.failed(opened.now, slow, "it took too long")
    assert opened.state == "half_open"
    opened.breaker.succeeded(opened.now, slow)
    assert opened.breaker.closed


def test_verdicts_on_another_time_change_nothing(opened: Site) -> None:
    """Requests that began before it opened, or before it closed again, may fail or succeed long after."""
    late = 1
    opened.breaker.succeeded(opened.now, late)
    opened.breaker.failed(opened.now, late, "late")
    opened.breaker.abandoned(opened.now, late)
    assert opened.state == "open"
    opened.now += 1
    opened.succeeds()
    for _ in range(10):
        opened.breaker.failed(opened.now, late, "late")
    assert opened.breaker.closed
    assert opened.breaker.counts(opened.now) == (0, 0)


def test_verdicts_on_another_time_change_nothing_where_others_closed_it_or_an_operator_did(site: Site) -> None:
    late = site.request()
    site.breaker.heard_open(site.now, left_s=1, pause_s=1, opened_at=7, cause="it is down")
    assert (site.state, site.breaker.cause, site.breaker.since) == ("open", "it is down", 7)
    site.breaker.heard_closed()
    for _ in range(10):
        site.breaker.failed(site.now, late, "late")
    assert site.breaker.closed
    late = site.request()
    site.breaker.reset()
    for _ in range(10):
        site.breaker.failed(site.now, late, "late")
    assert site.breaker.closed
    assert not site.told


def test_too_much_to_do_is_no_failure_but_is_heeded(site: Site) -> None:
    for _ in range(20):
        site.breaker.limited(site.now, site.request(), None)
    assert site.breaker.closed
    site.breaker.limited(site.now, site.request(), 5.0)
    site.breaker.limited(site.now, 1, 2.0)
    assert (site.state, site.breaker.broken, site.request()) == ("limited", False, 0)
    site.now += 5
    assert (site.state, site.breaker.ready(site.now)) == ("closed", True)
    assert site.request()
    assert site.request()
    assert site.breaker.closed
    assert not site.told


def test_a_provider_is_believed_for_half_a_minute_at_most(site: Site) -> None:
    site.breaker.limited(site.now, site.request(), 86_400.0)
    site.now += 30
    assert site.request()


def test_probe_that_is_told_to_wait_has_no_verdict(opened: Site) -> None:
    opened.now += 1
    opened.breaker.limited(opened.now, opened.request(), 3.0)
    assert (opened.state, opened.request()) == ("open", 0)
    opened.now += 3
    assert opened.request()


def test_failures_count_also_while_it_is_told_to_wait(site: Site) -> None:
    permits = [site.request() for _ in range(3)]
    site.breaker.limited(site.now, 1, 30.0)
    for permit in permits:
        site.breaker.failed(site.now, permit, "it hung up")
    assert site.breaker.broken
    assert site.breaker.open_until == site.now + 1


def test_operator_may_begin_anew(opened: Site) -> None:
    opened.breaker.reset()
    opened.breaker.reset()
    assert opened.breaker.closed
    assert opened.told == ["opened", "reset"]


def test_other_settings_hold_for_what_comes(opened: Site) -> None:
    opened.breaker.configure(BreakerOptions(failures=1, open_s=0.5, open_max_s=0.25, window_s=20))
    assert opened.state == "open"
    opened.now += 1
    opened.succeeds()
    opened.fails()
    assert opened.breaker.open_until == opened.now + 0.25


def broken(clock: ManualClock, **options: float) -> Breaker:
    settings = BreakerOptions(failures=1, open_s=1, open_max_s=4, **options)  # type: ignore[arg-type]
    breaker = Breaker(Candidate(provider="p", upstream_model="m"), settings, time=clock.time)
    breaker.failed(clock.monotonic(), breaker.permits(clock.monotonic()), "it is down")
    return breaker


def test_a_probe_whose_answer_breaks_off_after_it_began_opens_it_again_for_twice_as_long() -> None:
    clock = ManualClock()
    breaker = broken(clock)
    clock.advance(1)
    probe = breaker.permits(clock.monotonic())
    breaker.succeeded(clock.monotonic(), probe)  # its first content
    assert breaker.closed
    breaker.failed(clock.monotonic(), probe, "it broke off")
    assert (breaker.broken, breaker.pause_s) == (True, 2)


def test_a_probe_whose_answer_was_complete_has_said_all() -> None:
    clock = ManualClock()
    breaker = broken(clock)
    clock.advance(1)
    probe = breaker.permits(clock.monotonic())
    breaker.succeeded(clock.monotonic(), probe)
    breaker.succeeded(clock.monotonic(), probe)
    breaker.failed(clock.monotonic(), probe, "late")
    assert breaker.closed


@pytest.mark.parametrize(("retry_after_s", "pause_s"), [(None, 1), (0.5, 1), (10, 10), (1000, 30)])
def test_a_probe_that_is_limited_is_followed_by_a_pause(retry_after_s: float | None, pause_s: float) -> None:
    clock = ManualClock()
    breaker = broken(clock)
    clock.advance(1)
    breaker.limited(clock.monotonic(), breaker.permits(clock.monotonic()), retry_after_s)
    clock.advance(pause_s - 0.01)
    assert not breaker.ready(clock.monotonic())
    clock.advance(0.02)
    assert breaker.ready(clock.monotonic())


def test_who_is_limited_is_asked_all_the_same_where_there_is_nobody_else() -> None:
    clock = ManualClock()
    breaker = Breaker(Candidate(provider="p", upstream_model="m"), BreakerOptions(), time=clock.time)
    breaker.limited(clock.monotonic(), breaker.permits(clock.monotonic()), 20)
    assert not breaker.permits(clock.monotonic())
    assert breaker.permits_a_limited(clock.monotonic())
