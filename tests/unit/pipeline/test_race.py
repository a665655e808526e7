"""A late attempt and a second one beside it: one reply comes out, whatever happens in whatever order."""

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Head, Reply, Sink, Subscription, UpstreamError
from llm_service.pipeline.race import race
from llm_service.runtime import Tasks
from tests.support.clock import ManualClock
from tests.support.waiting import loop_turns

DELAY_S = 2.0


class Answer(Reply):
    """A reply that counts how often it is closed; closing takes a turn of the event loop."""

    def __init__(self, number: int) -> None:
        self.head = Head(provider="p", model="m", upstream_model=f"m{number}")
        self.whole = None
        self.outcome = None
        self.closed = 0

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        raise NotImplementedError

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


class Scripted:
    """An attempt that gives what the test says when the test says so, and notes how it ended.

    ``deaf``: it has its answer just when it is cancelled, and gives it.
    """

    def __init__(self, number: int, *, deaf: bool = False) -> None:
        self.answer = Answer(number)
        self.ended: str | None = None
        self.begun = False
        self._deaf = deaf
        self._result: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def give(self, failure: Exception | None = None) -> None:
        if self._result.done():
            return
        if failure is None:
            self._result.set_result(None)
        else:
            self._result.set_exception(failure)
            self._result.exception()  # it may be cancelled before it hears of it

    async def run(self) -> Reply:
        self.begun = True
        try:
            await self._result
        except asyncio.CancelledError:
            if not self._deaf:
                await asyncio.sleep(0)  # to close what is open takes a turn too; a second cancellation would cut it off
                self.ended = "cancelled"
                raise
        except Exception:
            self.ended = "failed"
            raise
        self.ended = "answered"
        return self.answer


class Races:
    """A race whose every event is the test's."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.clock = ManualClock()
        self.reported: list[str] = []
        self.tasks = Tasks(lambda work, failure: self.reported.append(repr(failure)))
        self.attempts = (Scripted(0, deaf=deaf), Scripted(1, deaf=deaf))
        self.running = asyncio.ensure_future(self.raced())

    async def raced(self) -> tuple[int, Reply]:
        first = self.attempts[0].run()
        return await race(first, self.second, delay_s=DELAY_S, clock=self.clock, tasks=self.tasks)

    def second(self) -> Coroutine[Any, Any, Reply]:
        return self.attempts[1].run()

    async def turn_late(self) -> None:
        await loop_turns()
        self.clock.advance(DELAY_S)
        await loop_turns(2)

    def check(self) -> None:
        """What holds of each race that has ended."""
        won = None if self.running.cancelled() or self.running.exception() else self.running.result()
        for number, attempt in enumerate(self.attempts):
            assert (attempt.ended is not None) == attempt.begun
            if attempt.ended == "answered":
                assert attempt.answer.closed == (0 if won == (number, attempt.answer) else 1)
            else:
                assert attempt.answer.closed == 0
        assert won is None or self.attempts[won[0]].ended == "answered"
        assert (len(self.tasks), self.clock.timers, self.reported) == (0, 0, [])


async def test_an_attempt_in_time_is_alone() -> None:
    races = Races()
    await loop_turns()
    races.clock.advance(DELAY_S / 2)
    races.attempts[0].give()
    assert await races.running == (0, races.attempts[0].answer)
    assert not races.attempts[1].begun
    races.check()


@pytest.mark.parametrize("winner", [0, 1])
async def test_beside_a_late_attempt_a_second_one_begins_and_the_first_answer_wins(winner: int) -> None:
    races = Races()
    await races.turn_late()
    assert [attempt.begun for attempt in races.attempts] == [True, True]
    races.attempts[winner].give()
    assert await races.running == (winner, races.attempts[winner].answer)
    assert races.attempts[1 - winner].ended == "cancelled"
    races.check()


async def test_what_fails_in_time_is_raised_at_once_and_begins_no_second() -> None:
    races = Races()
    await loop_turns()
    races.attempts[0].give(UpstreamError("first"))
    with pytest.raises(UpstreamError, match="first"):
        await races.running
    assert not races.attempts[1].begun
    races.check()


@pytest.mark.parametrize("failing", [0, 1])
async def test_of_two_one_may_fail(failing: int) -> None:
    races = Races()
    await races.turn_late()
    races.attempts[failing].give(UpstreamError("no"))
    await loop_turns(3)
    assert not races.running.done()
    races.attempts[1 - failing].give()
    assert (await races.running)[0] == 1 - failing
    races.check()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_when_both_fail_the_first_s_failure_is_raised(order: Sequence[int]) -> None:
    races = Races()
    await races.turn_late()
    for number in order:
        races.attempts[number].give(UpstreamError(f"of {number}"))
        await loop_turns(2)
    with pytest.raises(UpstreamError, match="of 0"):
        await races.running
    races.check()


async def test_a_second_attempt_may_be_refused() -> None:
    def refused() -> Coroutine[Any, Any, Reply]:
        raise UpstreamError("no room")

    races = Races()
    races.second = refused  # type: ignore[method-assign]
    await races.turn_late()
    races.attempts[0].give()
    assert (await races.running)[0] == 0
    races.check()


async def test_a_defect_that_loses_is_reported() -> None:
    races = Races()
    await races.turn_late()
    races.attempts[1].give(ZeroDivisionError("a defect"))
    await loop_turns(2)
    races.attempts[0].give()
    await races.running
    assert races.reported == ["ZeroDivisionError('a defect')"]


async def test_a_defect_of_the_first_is_raised_when_no_answer_comes() -> None:
    races = Races()
    await races.turn_late()
    races.attempts[0].give(ZeroDivisionError("a defect"))
    races.attempts[1].give(UpstreamError("no"))
    with pytest.raises(ZeroDivisionError):
        await races.running
    assert races.reported == []


async def test_the_end_of_the_owner_of_the_tasks_ends_the_race() -> None:
    races = Races()
    await races.turn_late()
    await races.tasks.aclose()
    with pytest.raises(asyncio.CancelledError):
        await races.running
    assert [attempt.ended for attempt in races.attempts] == ["cancelled", "cancelled"]


async def test_answers_that_come_as_the_caller_leaves_are_closed() -> None:
    races = Races(deaf=True)
    await races.turn_late()
    races.running.cancel()
    await asyncio.wait([races.running])
    assert [attempt.ended for attempt in races.attempts] == ["answered", "answered"]
    races.check()


async def test_a_caller_who_is_cancelled_twice_disturbs_no_closing() -> None:
    races = Races()
    await races.turn_late()
    races.attempts[0].give()
    await loop_turns()
    for _ in range(2):
        races.running.cancel()
        await loop_turns()
    await asyncio.wait([races.running])
    await loop_turns(5)
    assert [attempt.ended for attempt in races.attempts] == ["answered", "cancelled"]
    races.check()


async def play(steps: Sequence[str], *, deaf: bool = False) -> None:
    """Events without a turn between them happen in the very same moment. ``deaf``: answers come as one is cancelled."""
    races = Races(deaf=deaf)
    left = False
    for step in steps:
        match step.split():
            case ["turn"]:
                await loop_turns()
            case ["late"]:
                races.clock.advance(DELAY_S)
            case ["leave"]:
                left = left or not races.running.done()
                races.running.cancel()
            case [who, "answers"]:
                races.attempts[who == "second"].give()
            case [who, _]:
                races.attempts[who == "second"].give(UpstreamError(f"the {who}"))
    if not left:
        await finish(races)
    await asyncio.wait([races.running])
    await loop_turns(5)
    races.check()
    if not races.running.cancelled() and (failure := races.running.exception()) is not None:
        assert "the first" in str(failure)


async def finish(races: Races) -> None:
    """Whatever has not happened yet."""
    await loop_turns()
    races.clock.advance(DELAY_S)
    await loop_turns(2)
    for attempt in races.attempts:
        attempt.give()


@pytest.mark.parametrize("second", ["answers", "fails"])
@pytest.mark.parametrize("first", ["answers", "fails"])
async def test_in_every_order_one_reply_comes_out_or_none(first: str, second: str) -> None:
    """All orders of what can happen once, each with nothing, one or two turns of the event loop before it."""
    for order in itertools.permutations(("late", f"first {first}", f"second {second}", "leave")):
        for turns in itertools.product(range(3), repeat=len(order)):
            steps = [step for event, count in zip(order, turns, strict=True) for step in (*["turn"] * count, event)]
            await play(steps)


EVENTS = ("turn", "turn", "late", "first answers", "second answers", "first fails", "second fails", "leave", "leave")


@given(st.lists(st.sampled_from(EVENTS), max_size=14), st.booleans())
def test_however_often_the_caller_leaves_nothing_stays_open(steps: Sequence[str], deaf: bool) -> None:
    asyncio.run(play(steps, deaf=deaf))
