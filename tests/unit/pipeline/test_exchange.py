"""The row of stages and the settling of what they leave behind."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from llm_service.domain import Caller, ModelNotFound, Outcome, Reply, chat_request
from llm_service.pipeline import Exchange, Passing, Proceed, Stage, Watcher, compose
from llm_service.runtime import Tasks
from tests.support.waiting import loop_turns

OK = Outcome(status="ok")


def an_exchange(tasks: Tasks | None = None) -> Exchange:
    return Exchange(
        id="req_1",
        stream_id="str_1",
        surface="rest",
        request=chat_request({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        caller=Caller(key_id="local", scopes=frozenset()),
        tasks=tasks or Tasks(lambda name, failure: None),
        received_at=0.0,
    )


class Noted(Watcher):
    def __init__(self, name: str, seen: list[str], waits: Callable[[], Awaitable[None]] | None = None) -> None:
        self.name, self.seen, self.waits = name, seen, waits

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        self.seen.append(f"{self.name} {outcome.status}")
        return self.waits() if self.waits else None


async def test_stages_run_in_order_and_mark_their_beginning() -> None:
    ran = []

    def stage(name: str) -> Callable[[Exchange, Proceed], Awaitable[Reply]]:
        async def run(exchange: Exchange, proceed: Proceed) -> Reply:
            ran.append(name)
            return await proceed(exchange)

        return run

    async def last(exchange: Exchange) -> str:
        return "reply"

    exchange = an_exchange()
    moments = iter((1.0, 2.0, 3.0))
    row = compose([("one", stage("one")), ("two", stage("two"))], ("last", last), now=lambda: next(moments))  # type: ignore[arg-type]
    assert await row.proceed(exchange) == "reply"
    assert ran == ["one", "two"]
    assert (row.names, exchange.marks) == (("one", "two", "last"), [1.0, 2.0, 3.0])


class Passed(Passing):
    """Lets pass, refuses, or goes on by itself, and notes who has been there."""

    def __init__(self, name: str, ran: list[str], *, waits: bool = False, refuses: bool = False) -> None:
        self.name, self.ran, self.waits, self.refuses = name, ran, waits, refuses

    def passes(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply] | None:
        self.ran.append(self.name)
        if self.refuses:
            raise ModelNotFound("none")
        return self._go_on(exchange, proceed) if self.waits else None

    async def _go_on(self, exchange: Exchange, proceed: Proceed) -> Reply:
        await asyncio.sleep(0)
        self.ran.append(f"{self.name} waited")
        return await proceed(exchange)


@pytest.mark.parametrize("around", [False, True])
async def test_stages_that_are_passed_stand_in_the_row_as_all_others(around: bool) -> None:
    ran: list[str] = []

    async def calls(exchange: Exchange, proceed: Proceed) -> Reply:
        ran.append("calls")
        return await proceed(exchange)

    async def last(exchange: Exchange) -> str:
        return "reply"

    def plain(stage: Passing) -> Stage:
        return stage.__call__ if around else stage

    stages = [Passed("one", ran), Passed("two", ran, waits=True), Passed("three", ran)]
    row = compose(
        [(stage.name, plain(stage)) for stage in stages] + [("four", calls), ("five", plain(Passed("five", ran)))],
        ("last", last),  # type: ignore[arg-type]
        now=count().__next__,
    )
    exchange = an_exchange()
    assert await row.proceed(exchange) == "reply"
    assert ran == ["one", "two", "two waited", "three", "calls", "five"]
    assert (row.names, exchange.marks) == (("one", "two", "three", "four", "five", "last"), [0, 1, 2, 3, 4, 5])


async def test_behind_a_stage_that_refuses_nobody_is_asked() -> None:
    ran: list[str] = []
    exchange = an_exchange()
    stages = [Passed("one", ran), Passed("two", ran, refuses=True), Passed("three", ran)]
    row = compose([(stage.name, stage) for stage in stages], ("last", pytest.fail), now=count().__next__)
    with pytest.raises(ModelNotFound):
        row.proceed(exchange)
    assert (ran, exchange.marks) == (["one", "two"], [0, 1])


async def test_watchers_settle_inside_out_and_once() -> None:
    seen: list[str] = []
    exchange = an_exchange()
    exchange.watchers += [Noted("outer", seen), Noted("inner", seen)]
    assert exchange.settle(OK) is None
    assert exchange.settle(Outcome(status="error")) is None
    assert seen == ["inner ok", "outer ok"]


async def test_outer_watchers_wait_for_an_inner_one_that_takes_its_time() -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()
        seen.append("written")

    exchange = an_exchange()
    exchange.watchers += [Noted("outer", seen), Noted("inner", seen, wait)]
    settled = exchange.settle(OK)
    assert settled is not None
    await loop_turns()
    assert seen == ["inner ok"]
    gate.set()
    await settled
    assert seen == ["inner ok", "written", "outer ok"]


async def test_settling_goes_on_when_its_caller_is_cancelled() -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    exchange = an_exchange()
    exchange.watchers += [Noted("outer", seen), Noted("inner", seen, wait)]

    async def settle() -> None:
        waiting = exchange.settle(OK)
        assert waiting is not None
        await waiting

    task = asyncio.create_task(settle())
    await loop_turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    again = exchange.settle(OK)
    assert again is not None
    await again
    assert seen == ["inner ok", "outer ok"]
