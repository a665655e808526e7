"""What this process knows of the deployments that it asks, and of their providers."""

import pytest

from llm_service.domain import Candidate
from llm_service.routing import BreakerOptions, Places, RoutingOptions
from llm_service.routing import fleet as fleet_module
from tests.support.clock import ManualClock
from tests.support.routes import a_fleet

FAST = Candidate(provider="a", upstream_model="fast")
SLOW = Candidate(provider="a", upstream_model="slow")


def test_a_deployment_is_the_same_whoever_asks_for_it() -> None:
    fleet = a_fleet()
    assert fleet.member(FAST) is fleet.member(Candidate(provider="a", upstream_model="fast"))
    assert fleet.member(FAST).home is fleet.member(SLOW).home is fleet.home("a")


def test_a_provider_that_nobody_has_asked_has_none_but_zeros() -> None:
    figures = a_fleet().figures("nobody", 0.0)
    assert (figures.requests, figures.failures, figures.first_content_p50_s, figures.tripped) == (0, 0, None, ())


def test_figures_are_those_of_the_last_minute_over_all_models_of_a_provider() -> None:
    clock = ManualClock()
    fleet = a_fleet(clock)
    now = clock.monotonic()
    home = fleet.home("a")
    for seconds in (0.1, 0.2, 0.3):
        home.calls.add(now)
        fleet.member(FAST).answered(seconds, now, stream=True)
    home.calls.add(now)
    fleet.member(SLOW).answered(2.0, now, stream=False)
    home.failed("upstream_timeout", now)
    figures = fleet.figures("a", now)
    assert (figures.requests, figures.failures, figures.deployments) == (4, 1, 2)
    assert (figures.first_content_p50_s, figures.first_content_p95_s) == (0.2, 2.0)
    assert (figures.last_error_code, figures.last_error_at) == ("upstream_timeout", now)
    clock.advance(62)
    later = fleet.figures("a", clock.monotonic())
    assert (later.requests, later.failures, later.first_content_p50_s) == (0, 0, None)
    assert later.last_error_code == "upstream_timeout"


def test_an_open_breaker_is_told_with_its_cause() -> None:
    clock = ManualClock()
    fleet = a_fleet(clock, breaker=BreakerOptions(failures=1))
    breaker = fleet.member(FAST).breaker
    breaker.failed(clock.monotonic(), breaker.permits(clock.monotonic()), "it is down")
    (tripped,) = fleet.figures("a", clock.monotonic()).tripped
    assert (tripped.upstream_model, tripped.state, tripped.cause) == ("fast", "open", "it is down")
    assert tripped.untried_s == 0
    clock.advance(1.5)
    (tripped,) = fleet.figures("a", clock.monotonic()).tripped
    assert tripped.state == "half_open"
    clock.advance(10)
    (later,) = fleet.figures("a", clock.monotonic()).tripped
    assert later.untried_s == pytest.approx(tripped.untried_s + 10)


class Waiting:
    """An attempt without its first content."""

    def call_off(self) -> None:
        """Nobody calls it off here."""


def test_an_attempt_without_content_is_pending() -> None:
    clock = ManualClock()
    fleet = a_fleet(clock)
    fleet.home("a").calls.add(clock.monotonic())
    fleet.home("a").pending.add(Waiting())
    figures = fleet.figures("a", clock.monotonic())
    assert (figures.requests, figures.pending, figures.judged) == (1, 1, 0)


def test_settings_that_change_hold_for_providers_that_are_known_already() -> None:
    fleet = a_fleet()
    home = fleet.home("a")
    assert home.bulkhead.bound is None
    fleet.configure(RoutingOptions(retry_budget=0, retry_budget_min=1), {"a": Places(max_concurrency=3)})
    assert home.bulkhead.bound == 3
    assert [home.budget.spend(0.0), home.budget.spend(0.0)] == [True, False]
    fleet.configure(RoutingOptions(), {})
    assert home.bulkhead.bound is None


def test_names_that_callers_invent_do_not_fill_the_memory(monkeypatch: object) -> None:
    clock = ManualClock()
    fleet = a_fleet(clock)
    kept = fleet.member(FAST)
    kept.in_flight = 1
    for number in range(fleet_module.MOST_MEMBERS + 10):
        fleet.member(Candidate(provider="a", upstream_model=f"invented-{number}"))
    assert fleet.member(FAST) is kept
    assert fleet.figures("a", clock.monotonic()).deployments < fleet_module.MOST_MEMBERS
