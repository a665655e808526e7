"""Both limit stores do what a plain list of everything taken would do, whatever comes, and clocks that jump as well."""

from collections.abc import Iterator

import pytest
from hypothesis.stateful import run_state_machine_as_test

from llm_service.domain import Claim, Settlement
from tests.support.direct_valkey import valkey_socket
from tests.support.limit_machine import PROVIDERS, Limits, Open, open_stores

__all__ = ["open_stores", "valkey_socket"]


@pytest.mark.timeout(600)
def test_store_does_what_the_model_does(open_stores: Open) -> None:
    run_state_machine_as_test(lambda: Limits(open_stores))


# -- what was found once


TOKENS, MONEY = PROVIDERS[0][1], PROVIDERS[1][1]


@pytest.fixture
def steps(open_stores: Open) -> Iterator[Limits]:
    """Steps to be taken by hand; the state is compared at their end too."""
    steps = Limits(open_stores)
    yield steps
    steps.teardown()


@pytest.fixture
def swapped(steps: Limits) -> Limits:
    """Time has passed in a window by a swap alone, of a lease that stood in it before the clock was set back far."""
    lease = steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 23)]])
    steps.clock_is_set_back(by_s=61.0)
    steps.all_is_read()
    steps.time_passes(by_s=62.0)
    steps.swap(lease=lease, candidates=[[]], called=False)
    steps.clock_is_set_back(by_s=100.0)
    return steps


def test_swap_lets_time_pass_for_a_window_that_its_lease_stands_in_no_more(swapped: Limits) -> None:
    swapped.all_is_read()


def test_window_where_a_swap_let_time_pass_has_room_for_an_ask(swapped: Limits) -> None:
    swapped.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 50)], [Claim(MONEY, 1)]])


def test_window_where_a_swap_let_time_pass_has_room_for_a_swap(swapped: Limits) -> None:
    lease = swapped.admit(holder=0, callers=[], candidates=[[]])
    swapped.swap(lease=lease, candidates=[[Claim(TOKENS, 50)], [Claim(MONEY, 1)]], called=False)


@pytest.mark.parametrize("passed_s", [61.0, 200.0])
def test_window_that_is_empty_begins_again_with_what_is_taken_next(steps: Limits, passed_s: float) -> None:
    """A store has forgotten it after a while, and with it up to which second time had passed."""
    steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 8)]])
    steps.time_passes(by_s=passed_s)
    steps.beat()
    steps.all_is_read()
    steps.clock_is_set_back(by_s=5.0)
    steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 45)]])
    steps.clock_is_set_back(by_s=59.0)


def test_swap_lets_time_pass_for_a_window_that_was_forgotten_since(steps: Limits) -> None:
    lease = steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 42)]])
    steps.time_passes(by_s=200.0)
    steps.beat()
    steps.clock_is_set_back(by_s=61.0)
    steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 1)]])
    steps.time_passes(by_s=61.0)
    steps.swap(lease=lease, candidates=[[]], called=False)
    steps.clock_is_set_back(by_s=61.0)


def test_refund_spares_what_was_taken_in_its_second_after_the_window_was_empty(steps: Limits) -> None:
    lease = steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 42)]])
    steps.time_passes(by_s=61.0)
    steps.all_is_read()
    steps.clock_is_set_back(by_s=61.0)
    steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 20)]])
    steps.settle(lease=lease, settlement=None)


def test_refund_spares_what_was_taken_in_its_second_after_the_clock_was_set_back_far(steps: Limits) -> None:
    lease = steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 42)]])
    steps.clock_is_set_back(by_s=61.0)
    steps.all_is_read()
    steps.time_passes(by_s=1.0)
    steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 1)]])
    steps.time_passes(by_s=60.0)  # its second comes a second time
    steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 20)]])
    steps.settle(lease=lease, settlement=None)


def test_overrun_counts_in_a_window_that_stands_at_nothing(steps: Limits) -> None:
    lease = steps.admit(holder=0, callers=[], candidates=[[Claim(TOKENS, 0)]])
    steps.time_passes(by_s=60.0)
    steps.all_is_read()
    steps.settle(lease=lease, settlement=Settlement(tokens=7, nano_usd=0))


def test_holder_is_silent_also_while_the_wall_clock_is_set_back(steps: Limits) -> None:
    steps.admit(holder=1, callers=[], candidates=[[]])
    steps.the_other_falls_silent()
    steps.admit(holder=1, callers=[], candidates=[[]])
    steps.clock_is_set_back(by_s=61.0)
    steps.the_other_falls_silent()
