"""A bound that is found out: near the provider's capacity, and back there when that has changed."""

import pytest

from llm_service.routing import AdaptiveBound
from tests.support.simulated_provider import SimulatedProvider

LEARNT_S = 120
MINUTE_S = 60


@pytest.mark.parametrize("spread", [0, 0.5, 1])
@pytest.mark.parametrize("capacity", [8, 20, 50, 200])
def test_capacity_is_found_within_a_factor_of_two(capacity: int, spread: float) -> None:
    provider = SimulatedProvider(capacity, spread=spread)
    provider.run(LEARNT_S)
    spans = provider.spans(8, MINUTE_S)
    mean_bound = sum(span.bound for span in spans) / len(spans)
    assert capacity * 0.8 <= mean_bound <= capacity * 2.2
    assert sum(span.throughput for span in spans) / len(spans) > 0.75


@pytest.mark.parametrize("capacity", [8, 50])
def test_a_provider_that_refuses_is_asked_for_about_as_much_as_it_takes(capacity: int) -> None:
    provider = SimulatedProvider(capacity, spread=0.5, refuses=True)
    provider.run(LEARNT_S)
    span = provider.run(5 * MINUTE_S)
    assert capacity * 0.8 <= span.bound <= capacity * 1.3
    assert span.throughput > 0.8


def test_the_bound_follows_a_capacity_that_falls_and_recovers() -> None:
    provider = SimulatedProvider(50, spread=0.5)
    provider.run(LEARNT_S)
    provider.capacity = 10
    provider.run(LEARNT_S)
    assert provider.run(MINUTE_S).bound < 20
    provider.capacity = 50
    provider.run(MINUTE_S)
    after = provider.run(MINUTE_S)
    assert after.bound > 40
    assert after.throughput > 0.8


def test_the_bound_is_soon_back_from_its_floor() -> None:
    provider = SimulatedProvider(100, spread=0.5, refuses=True)
    provider.run(LEARNT_S)
    provider.capacity = 1
    assert provider.run(2 * MINUTE_S).bound < 15
    provider.capacity = 100
    provider.run(15)
    assert provider.bound.bound > 50


def test_a_provider_that_is_slower_for_good_is_got_to_know_anew() -> None:
    provider = SimulatedProvider(50, spread=0.5)
    provider.run(LEARNT_S)
    provider.answer_s = 3
    provider.run(3 * MINUTE_S)
    assert provider.run(2 * MINUTE_S).throughput > 0.6


def test_an_overload_that_lasts_does_not_take_the_bound_up_with_it() -> None:
    provider = SimulatedProvider(20, spread=0.5)
    provider.run(LEARNT_S)
    spans = provider.spans(6, 10 * MINUTE_S)
    assert max(span.bound for span in spans) < 30
    assert min(span.throughput for span in spans) > 0.85


def test_the_bound_does_not_grow_beyond_twice_what_is_used() -> None:
    provider = SimulatedProvider(200, clients=30)
    assert provider.spans(2, 5 * MINUTE_S)[1].bound <= 64


def test_one_refusal_in_a_window_lowers_the_bound_by_a_tenth_of_what_is_used() -> None:
    bound = AdaptiveBound(ceiling=100)
    bound._set(100)
    bound.observed(0.1, failed=True, in_flight=50, now=10.0)
    bound.observed(0.1, failed=True, in_flight=40, now=10.5)
    assert bound.bound == 100
    bound.observed(0.1, failed=False, in_flight=40, now=11.0)
    assert bound.bound == 45


def test_a_failure_while_little_is_used_lowers_the_bound_by_a_tenth_alone() -> None:
    bound = AdaptiveBound(ceiling=100)
    bound._set(100)
    bound.observed(0.1, failed=True, in_flight=1, now=10.0)
    bound.observed(0.1, failed=False, in_flight=1, now=11.0)
    assert bound.bound == 90


def test_the_ceiling_holds_at_once_and_may_be_below_the_floor() -> None:
    bound = AdaptiveBound()
    assert bound.bound == 4
    bound.hold_below(2)
    assert bound.bound == 2
    bound.observed(0.1, failed=True, in_flight=2, now=1.0)
    bound.observed(0.1, failed=True, in_flight=2, now=3.0)
    assert bound.bound == 2
