"""How many requests are at one provider at once, who waits for a place, and who gets it."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from llm_service.domain import DeadlineExceeded, Overloaded
from llm_service.routing import Bulkhead, Places
from tests.support.clock import ManualClock
from tests.support.waiting import loop_turns


class World:
    def __init__(self, **places: Any) -> None:
        self.clock = ManualClock()
        self.bulkhead = Bulkhead("deepseek", Places(**places), clock=self.clock, dice=random.Random(1))

    async def comes(self, deadline: float | None = None) -> "asyncio.Task[None]":
        task = asyncio.create_task(_entered(self.bulkhead.enter(deadline)))
        await loop_turns(2)
        return task


async def _entered(entering: Coroutine[Any, Any, None]) -> None:
    await entering


def test_without_a_bound_everybody_is_let_in_and_counted() -> None:
    bulkhead = World().bulkhead
    assert all(bulkhead.try_enter() for _ in range(5000))
    assert (bulkhead.inside, bulkhead.bound, bulkhead.waiting) == (5000, None, 0)
    bulkhead.leave()
    assert bulkhead.inside == 4999


def test_who_does_not_wait_is_told_that_no_place_is_free() -> None:
    bulkhead = World(max_concurrency=2).bulkhead
    assert [bulkhead.try_enter() for _ in range(3)] == [True, True, False]
    bulkhead.leave()
    assert bulkhead.try_enter()


async def test_places_go_to_those_who_wait_in_the_order_in_which_they_came() -> None:
    world = World(max_concurrency=1)
    assert world.bulkhead.try_enter()
    first, second = await world.comes(), await world.comes()
    assert world.bulkhead.waiting == 2
    world.bulkhead.leave()
    assert not world.bulkhead.try_enter()
    await loop_turns()
    assert (first.done(), second.done(), world.bulkhead.inside) == (True, False, 1)
    world.bulkhead.leave()
    await second
    assert (world.bulkhead.inside, world.bulkhead.waiting, world.clock.timers) == (1, 0, 0)


async def test_a_full_queue_sends_away_at_once_with_a_time_to_come_again() -> None:
    world = World(max_concurrency=1, max_waiting=1)
    assert world.bulkhead.try_enter()
    waiting = await world.comes()
    with pytest.raises(Overloaded, match="deepseek") as refused:
        await world.bulkhead.enter(None)
    assert refused.value.retryable
    assert 0.5 <= (refused.value.retry_after_s or 0) <= 1.5
    world.bulkhead.leave()
    await waiting


async def test_the_wait_ends_with_overloaded_after_the_longest_one() -> None:
    world = World(max_concurrency=1, max_wait_s=3)
    assert world.bulkhead.try_enter()
    waiting = await world.comes(deadline=world.clock.monotonic() + 5)
    world.clock.advance(2.9)
    await loop_turns()
    assert not waiting.done()
    world.clock.advance(0.1)
    with pytest.raises(Overloaded):
        await waiting
    assert (world.bulkhead.inside, world.bulkhead.waiting) == (1, 0)


async def test_the_wait_ends_with_the_deadline_where_that_comes_first() -> None:
    world = World(max_concurrency=1, max_wait_s=3)
    assert world.bulkhead.try_enter()
    waiting = await world.comes(deadline=world.clock.monotonic() + 1)
    world.clock.advance(1)
    with pytest.raises(DeadlineExceeded):
        await waiting
    with pytest.raises(DeadlineExceeded):
        await world.bulkhead.enter(world.clock.monotonic())
    assert world.bulkhead.inside == 1


@pytest.mark.parametrize("places", [{"max_waiting": 0}, {"max_wait_s": 0}])
async def test_where_nobody_may_wait_nobody_does(places: dict[str, Any]) -> None:
    world = World(max_concurrency=1, **places)
    await world.bulkhead.enter(None)
    with pytest.raises(Overloaded):
        await world.bulkhead.enter(None)


async def test_a_waiter_that_is_cancelled_in_the_moment_in_which_it_is_let_in_hands_its_place_on() -> None:
    world = World(max_concurrency=1)
    assert world.bulkhead.try_enter()
    first, second = await world.comes(), await world.comes()
    world.bulkhead.leave()
    first.cancel()
    await second
    assert first.cancelled()
    assert (world.bulkhead.inside, world.bulkhead.waiting) == (1, 0)


async def test_a_waiter_that_was_cancelled_just_before_is_passed_over() -> None:
    world = World(max_concurrency=1)
    assert world.bulkhead.try_enter()
    first, second = await world.comes(), await world.comes()
    first.cancel()
    world.bulkhead.leave()
    await second
    assert (first.cancelled(), world.bulkhead.inside) == (True, 1)


async def test_a_waiter_whose_time_is_over_in_the_moment_in_which_it_is_cancelled_holds_nothing() -> None:
    world = World(max_concurrency=1, max_wait_s=3)
    assert world.bulkhead.try_enter()
    waiting = await world.comes()
    waiting.cancel()
    world.clock.advance(3)
    await loop_turns(2)
    assert waiting.cancelled()
    other = await world.comes()
    world.clock.advance(3)
    other.cancel()
    await loop_turns(2)
    assert (other.cancelled(), world.bulkhead.inside, world.bulkhead.waiting) == (True, 1, 0)


async def test_a_higher_bound_lets_those_in_who_wait() -> None:
    world = World(max_concurrency=1)
    assert world.bulkhead.try_enter()
    waiting = [await world.comes() for _ in range(3)]
    world.bulkhead.hold_to(Places(max_concurrency=3))
    await loop_turns()
    assert [task.done() for task in waiting] == [True, True, False]
    world.bulkhead.hold_to(Places())
    await waiting[2]
    assert (world.bulkhead.inside, world.bulkhead.bound) == (4, None)


async def test_a_lower_bound_sends_nobody_out_and_lets_in_only_below_it() -> None:
    world = World(max_concurrency=3)
    assert all(world.bulkhead.try_enter() for _ in range(3))
    waiting = await world.comes()
    world.bulkhead.hold_to(Places(max_concurrency=1))
    for inside in (2, 1):
        world.bulkhead.leave()
        await loop_turns()
        assert (world.bulkhead.inside, waiting.done()) == (inside, False)
    world.bulkhead.leave()
    await waiting
    assert world.bulkhead.inside == 1


def test_a_bound_that_is_found_out_follows_what_is_observed_and_stays_within_the_setting() -> None:
    world = World(adaptive=True, max_concurrency=10)
    bulkhead = world.bulkhead
    assert bulkhead.bound == 4
    for second in range(100):
        while bulkhead.try_enter():
            pass
        bulkhead.observed(0.01, failed=False, now=second / 4)
    assert bulkhead.bound == 10
    bulkhead.hold_to(Places(adaptive=True, max_concurrency=6))
    assert bulkhead.bound == 6
    bulkhead.hold_to(Places(max_concurrency=50))
    assert bulkhead.bound == 50


async def test_a_bound_that_grows_lets_those_in_who_wait() -> None:
    world = World(adaptive=True)
    bulkhead = world.bulkhead
    assert all(bulkhead.try_enter() for _ in range(4))
    waiting = await world.comes()
    for tenth in range(40):
        bulkhead.observed(0.01, failed=False, now=tenth / 10)
    await waiting
    assert bulkhead.inside == 5
