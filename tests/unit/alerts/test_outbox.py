"""The queue of a notifier: when it tries, what it gives up, what it tells."""

import asyncio
import random
from itertools import pairwise

import pytest

from llm_service.alerts import NoticeFailed
from llm_service.alerts.notices.retry import BACKOFF_MAX_S, CLOSING_S, MOST_WAITING, Outbox
from tests.support.clock import ManualClock
from tests.support.notices import Said, Scripted, a_notice
from tests.support.waiting import loop_turns

DOWN = NoticeFailed("it answered 503")


class Latest(random.Random):
    """Always waits as long as it may."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def failures() -> list[tuple[str, BaseException]]:
    return []


@pytest.fixture
async def outbox_for(clock, said, failures):
    made = []

    def make(notifier, *, retry_for_s: float = 3600.0, told=said) -> Outbox:
        outbox = Outbox(
            "ops",
            notifier,
            retry_for_s=retry_for_s,
            clock=clock,
            dice=Latest(),
            told=told,
            on_failure=lambda work, failure: failures.append((work, failure)),
        )
        made.append(outbox)
        return outbox

    yield make
    for outbox in made:
        await outbox.aclose()


async def run(clock: ManualClock, seconds: float, *, step_s: float = 1.0) -> None:
    await loop_turns(5)
    for _ in range(int(seconds / step_s)):
        clock.advance(step_s)
        await loop_turns(5)


async def test_a_notice_is_delivered_at_once_and_told(outbox_for, clock, said) -> None:
    notifier = Scripted(now=clock.monotonic)
    await outbox_for(notifier).deliver(a_notice())
    await loop_turns(5)
    assert [notice for _, notice in notifier.attempts] == [a_notice()]
    assert said.all == [(a_notice(), "delivered", None)]


async def test_pauses_double_up_to_five_minutes(outbox_for, clock, said) -> None:
    notifier = Scripted(*[DOWN] * 10, now=clock.monotonic)
    await outbox_for(notifier).deliver(a_notice())
    await run(clock, 3000)
    at = [when for when, _ in notifier.attempts]
    pauses = [after - before for before, after in pairwise(at)]
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, BACKOFF_MAX_S, BACKOFF_MAX_S]
    assert said.outcomes == ["delayed"] * 10 + ["delivered"]


async def test_a_notice_is_given_up_in_the_end_and_the_cause_is_told(outbox_for, clock, said) -> None:
    notifier = Scripted(*[DOWN] * 100, now=clock.monotonic)
    await outbox_for(notifier, retry_for_s=60).deliver(a_notice())
    await run(clock, 200)
    assert notifier.attempts[-1][0] - notifier.attempts[0][0] == 60
    assert said.all[-1] == (a_notice(), "failed", "it answered 503")
    assert clock.timers == 0


async def test_a_notice_that_need_not_be_retried_is_tried_once(outbox_for, clock, said) -> None:
    notifier = Scripted(DOWN, now=clock.monotonic)
    await outbox_for(notifier, retry_for_s=0).deliver(a_notice())
    await run(clock, 10)
    assert said.outcomes == ["failed"]


async def test_what_can_never_succeed_is_not_tried_again(outbox_for, clock, said) -> None:
    notifier = Scripted(NoticeFailed("it answered 404", lasting=True), now=clock.monotonic)
    await outbox_for(notifier).deliver(a_notice())
    await run(clock, 10)
    assert said.all == [(a_notice(), "failed", "it answered 404")]


async def test_retry_after_holds_for_all_notices(outbox_for, clock, said) -> None:
    notifier = Scripted(NoticeFailed("it answered 429", retry_after_s=120), now=clock.monotonic)
    outbox = outbox_for(notifier)
    await outbox.deliver(a_notice(group="a"))
    await loop_turns(5)
    await outbox.deliver(a_notice(group="b"))
    await run(clock, 119)
    assert len(notifier.attempts) == 1
    await run(clock, 2)
    assert {notice.group for _, notice in notifier.attempts[1:]} == {"a", "b"}
    assert said.outcomes == ["delayed", "delivered", "delivered"]


async def test_who_asks_to_wait_longer_than_a_notice_does_is_not_asked_again(outbox_for, clock, said) -> None:
    notifier = Scripted(NoticeFailed("it answered 429", retry_after_s=7200), now=clock.monotonic)
    await outbox_for(notifier, retry_for_s=60).deliver(a_notice())
    await loop_turns(5)
    assert said.all == [(a_notice(), "failed", "it answered 429, and asks to wait for 7200 s")]


async def test_a_newer_notice_takes_the_place_of_one_of_its_group(outbox_for, clock, said) -> None:
    notifier = Scripted(DOWN, now=clock.monotonic)
    outbox = outbox_for(notifier)
    firing, resolved = a_notice(), a_notice(status="resolved")
    await outbox.deliver(firing)
    await loop_turns(5)
    await outbox.deliver(resolved)
    await run(clock, 5)
    assert [notice for _, notice in notifier.attempts] == [firing, resolved]
    assert said.all == [
        (firing, "delayed", "it answered 503"),
        (firing, "replaced", None),
        (resolved, "delivered", None),
    ]


async def test_a_notice_on_its_way_is_not_tried_again_when_a_newer_one_waits(outbox_for, clock, said) -> None:
    firing, resolved = a_notice(), a_notice(status="resolved")

    class Slow(Scripted):
        async def deliver(self, notice) -> None:
            await clock.sleep(5)
            await super().deliver(notice)

    outbox = outbox_for(Slow(DOWN, now=clock.monotonic))
    await outbox.deliver(firing)
    await run(clock, 2)
    await outbox.deliver(resolved)
    await run(clock, 20)
    assert said.all == [(firing, "replaced", "it answered 503"), (resolved, "delivered", None)]


async def test_a_failing_group_does_not_hold_up_the_others(outbox_for, clock, said) -> None:
    class Picky(Scripted):
        async def deliver(self, notice) -> None:
            await super().deliver(notice)
            if notice.group == "bad":
                raise DOWN

    outbox = outbox_for(Picky(now=clock.monotonic))
    await outbox.deliver(a_notice(group="bad"))
    await run(clock, 1)
    await outbox.deliver(a_notice(group="good"))
    await loop_turns(5)
    assert said.all[-1] == (a_notice(group="good"), "delivered", None)


async def test_the_queue_is_bounded_and_the_oldest_is_given_up(outbox_for, clock, said) -> None:
    outbox = outbox_for(Scripted(*[DOWN] * 1000, now=clock.monotonic))
    for number in range(MOST_WAITING + 1):
        await outbox.deliver(a_notice(group=f"g{number}"))
        clock.advance(0.001)
    assert len(outbox) == MOST_WAITING
    (given_up,) = [(notice.group, error) for notice, outcome, error in said.all if outcome == "failed"]
    assert given_up == ("g0", "too many notices wait, and this one had waited longest")


async def test_a_defect_of_a_notifier_is_reported_and_the_others_are_delivered(
    outbox_for, clock, said, failures
) -> None:
    defect = KeyError("x")
    outbox = outbox_for(Scripted(defect, now=clock.monotonic))
    await outbox.deliver(a_notice(group="a"))
    await outbox.deliver(a_notice(group="b"))
    await loop_turns(10)
    assert failures == [("notices through ops", defect)]
    assert said.outcomes == ["failed", "delivered"]


async def test_a_defect_of_the_history_stops_no_notice(outbox_for, clock, failures) -> None:
    def told(*_: object) -> None:
        raise KeyError("x")

    notifier = Scripted(now=clock.monotonic)
    outbox = outbox_for(notifier, told=told)
    await outbox.deliver(a_notice(group="a"))
    await outbox.deliver(a_notice(group="b"))
    await loop_turns(10)
    assert len(notifier.attempts) == 2
    assert len(failures) == 2


async def test_closing_delivers_what_has_just_come(outbox_for, clock, said) -> None:
    outbox = outbox_for(Scripted(now=clock.monotonic))
    await outbox.deliver(a_notice())
    await outbox.aclose()
    assert said.outcomes == ["delivered"]
    with pytest.raises(NoticeFailed):
        await outbox.deliver(a_notice())


async def test_closing_waits_for_no_further_try(outbox_for, clock, said) -> None:
    outbox = outbox_for(Scripted(DOWN, DOWN, now=clock.monotonic))
    await outbox.deliver(a_notice())
    await loop_turns(5)
    await outbox.aclose()
    assert said.all[-1] == (a_notice(), "failed", "the service stopped before it was delivered; it answered 503")
    assert len(said.all) == 2


async def test_closing_ends_although_the_receiver_says_nothing(outbox_for, clock, said) -> None:
    class Silent(Scripted):
        async def deliver(self, notice) -> None:
            await clock.sleep(10_000)

    outbox = outbox_for(Silent(now=clock.monotonic))
    await outbox.deliver(a_notice(group="a"))
    await outbox.deliver(a_notice(group="b"))
    await loop_turns(5)
    closing = asyncio.create_task(outbox.aclose())
    await loop_turns(5)
    assert not closing.done()
    clock.advance(CLOSING_S)
    await closing
    assert sorted((notice.group, outcome) for notice, outcome, _ in said.all) == [("a", "failed"), ("b", "failed")]
