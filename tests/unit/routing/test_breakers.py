"""The breakers of one process: which there are, how many may be left out, what is told of them."""

import random

import pytest

from llm_service.domain import Candidate
from llm_service.routing import BreakerOptions, Breakers, Fleet
from llm_service.routing.breakers import FORGOTTEN, MOST
from tests.support.clock import ManualClock
from tests.support.service import LogLines

OPTIONS = BreakerOptions(failures=5, error_ratio=0.5, min_requests=4, max_ejected=0.5)
FOUR = [Candidate(provider=f"p{number}", upstream_model="m/x") for number in range(4)]


class Site:
    def __init__(self, *groups: list[Candidate], options: BreakerOptions = OPTIONS) -> None:
        self.clock = ManualClock()
        self.log = LogLines()
        self.breakers = Breakers(clock=self.clock, log=self.log)
        self.breakers.configure(options, lambda candidate: [group for group in groups if candidate in group])
        self.breakers.start()

    def fail(self, candidate: Candidate, *, in_row: int = 5) -> None:
        breaker, now = self.breakers.of(candidate), self.clock.monotonic()
        for _ in range(in_row):
            breaker.failed(now, breaker.permits(now), "it answered 503")

    def fail_now_and_then(self, candidate: Candidate) -> None:
        """Its share is enough; never five in a row."""
        breaker, now = self.breakers.of(candidate), self.clock.monotonic()
        for _ in range(10):
            breaker.succeeded(now, breaker.permits(now))
            self.fail(candidate, in_row=2)

    @property
    def left_out(self) -> list[str]:
        return [report.candidate.provider for report in self.breakers.states() if report.state != "closed"]


def test_a_deployment_has_one_breaker() -> None:
    site = Site()
    again = Candidate(provider="p0", upstream_model="m/x")
    assert site.breakers.find(FOUR[0]) is None
    assert site.breakers.of(FOUR[0]) is site.breakers.of(again) is site.breakers.find(again)
    assert site.breakers.of(FOUR[1]) is not site.breakers.of(again)


def test_so_many_of_a_model_are_left_out_for_their_share_of_failures_at_most() -> None:
    site = Site(FOUR)
    for candidate in FOUR:
        site.fail_now_and_then(candidate)
    assert site.left_out == ["p0", "p1"]


def test_those_that_are_down_count_and_are_left_out_whatever_else_is() -> None:
    site = Site(FOUR)
    site.fail(FOUR[3])
    site.fail_now_and_then(FOUR[0])
    site.fail_now_and_then(FOUR[1])
    assert sorted(site.left_out) == ["p0", "p3"]
    site.fail(FOUR[1])
    site.fail(FOUR[2])
    assert len(site.left_out) == 4


def test_one_that_serves_several_models_is_left_out_if_each_can_spare_it() -> None:
    site = Site(FOUR, FOUR[:1])
    for candidate in FOUR:
        site.fail_now_and_then(candidate)
    assert site.left_out == ["p1", "p2"]


def test_the_only_one_is_not_left_out_for_its_share() -> None:
    site = Site()
    site.fail_now_and_then(FOUR[0])
    assert site.left_out == []
    site.fail(FOUR[0])
    assert site.left_out == ["p0"]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.3, 3), (0.58, 5), (0.7, 7), (1.0, 10)])
def test_the_share_is_rounded_down(share: float, expected: int) -> None:
    ten = [Candidate(provider=f"p{number}", upstream_model="m") for number in range(10)]
    options = BreakerOptions(failures=5, min_requests=4, max_ejected=share)
    site = Site(ten, options=options)
    for candidate in ten:
        site.fail_now_and_then(candidate)
    assert len(site.left_out) == expected
    (within,) = site.breakers.within(site.breakers.of(ten[0]))
    assert (within.most, within.names) == (expected, [f"p{number}/m" for number in range(10)])


def test_reports_say_how_they_are_and_why() -> None:
    site = Site()
    site.breakers.of(FOUR[0])
    site.fail(FOUR[1])
    one, other = site.breakers.states()
    assert (one.state, one.cause, one.wait_s, one.calls, one.failures) == ("closed", "", 0, 0, 0)
    assert (other.state, other.cause, other.wait_s, other.calls, other.failures) == ("open", "it answered 503", 1, 5, 5)
    assert other.since == site.clock.time()


def test_operator_begins_anew_with_one_provider() -> None:
    site = Site()
    site.fail(FOUR[0])
    site.fail(FOUR[1])
    site.fail(FOUR[2], in_row=4)
    assert [site.breakers.reset(name) for name in ("p0", "p2", "p9")] == [1, 0, 0]
    assert site.left_out == ["p1"]
    site.fail(FOUR[2], in_row=4)
    assert site.left_out == ["p1"]


def test_other_settings_hold_for_all_and_keep_what_is_open() -> None:
    site = Site()
    site.fail(FOUR[0])
    site.breakers.of(FOUR[1])
    site.breakers.configure(BreakerOptions(failures=1), lambda candidate: ())
    for candidate in FOUR[1:3]:
        site.fail(candidate, in_row=1)
    assert site.left_out == ["p0", "p1", "p2"]


def test_log_tells_what_is_left_alone_and_asked_again() -> None:
    site = Site()
    site.fail(FOUR[0])
    (line,) = site.log.of("deployment is left alone")
    assert (line["provider"], line["model"], line["cause"], line["for_s"]) == ("p0", "m/x", "it answered 503", 1)
    site.clock.advance(1)
    breaker = site.breakers.of(FOUR[0])
    breaker.succeeded(site.clock.monotonic(), breaker.permits(site.clock.monotonic()))
    assert len(site.log.of("deployment is asked again")) == 1


async def test_alone_whoever_is_permitted_to_try_tries() -> None:
    site = Site()
    site.fail(FOUR[0])
    site.clock.advance(1)
    breaker = site.breakers.of(FOUR[0])
    permit = breaker.permits(site.clock.monotonic())
    assert await site.breakers.claim(breaker, permit) == permit


def test_names_that_callers_invent_do_not_pile_up() -> None:
    site = Site()
    site.fail(FOUR[0])
    site.fail(FOUR[1], in_row=1)
    for number in range(3 * MOST):
        site.breakers.of(Candidate(provider="p", upstream_model=f"invented {number}"))
    assert MOST - FORGOTTEN <= len(site.breakers.states()) <= MOST
    assert site.breakers.of(FOUR[0]).broken
    assert site.breakers.of(FOUR[1]).counts(site.clock.monotonic()) == (1, 1)


def test_a_deployment_whose_breaker_was_forgotten_has_the_one_that_took_its_place() -> None:
    site = Site()
    fleet = Fleet(breaker_of=site.breakers.of, workers=lambda: 1, clock=site.clock, dice=random.Random(1))
    member = fleet.member(FOUR[0])
    before = member.breaker
    assert member.breaker is before is site.breakers.find(FOUR[0])
    for number in range(MOST):
        site.breakers.of(Candidate(provider="p", upstream_model=f"invented {number}"))
    assert site.breakers.find(FOUR[0]) is None
    site.fail(FOUR[0])
    assert member.breaker is site.breakers.find(FOUR[0]) is not before
    assert member.breaker.broken


def test_open_ones_are_bounded_as_well() -> None:
    site = Site(options=BreakerOptions(failures=1))
    for number in range(MOST + 1):
        site.fail(Candidate(provider="p", upstream_model=f"invented {number}"), in_row=1)
    assert len(site.left_out) <= MOST
    assert site.breakers.find(Candidate(provider="p", upstream_model=f"invented {MOST}"))
