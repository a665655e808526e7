import asyncio

import pytest

from llm_service.runtime import DONE, Tasks, begin
from tests.support.waiting import loop_turns


async def test_a_coroutine_that_does_not_wait_is_done_at_once() -> None:
    seen = []

    async def work() -> None:
        seen.append("done")

    assert begin(work()) is None
    assert seen == ["done"]


async def test_what_is_left_of_a_coroutine_goes_on_in_another_task() -> None:
    gate = asyncio.Event()
    seen = []

    async def work() -> None:
        await gate.wait()
        await loop_turns()
        seen.append("done")

    async def finish() -> None:
        rest = begin(work())
        assert rest is not None
        task = asyncio.create_task(_awaited(rest))
        gate.set()
        await task

    await finish()
    assert seen == ["done"]


async def test_cancelling_the_rest_cancels_the_coroutine() -> None:
    seen = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    rest = begin(work())
    task = asyncio.create_task(_awaited(rest))
    await loop_turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_an_error_before_the_first_wait_is_raised_at_once() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        begin(work())


async def test_a_failed_task_is_reported_with_its_name() -> None:
    reported = []
    tasks = Tasks(lambda name, failure: reported.append((name, str(failure))))

    async def work() -> None:
        raise ValueError("broken")

    await asyncio.wait([tasks.spawn(work(), name="something")])
    await loop_turns()
    assert reported == [("something", "broken")]


async def test_closing_ends_what_still_runs() -> None:
    tasks = Tasks(lambda name, failure: None)
    task = tasks.spawn(asyncio.Event().wait(), name="for ever")
    await tasks.aclose()
    assert task.cancelled()
    assert len(tasks) == 0


async def _awaited(rest: object) -> None:
    await rest  # type: ignore[misc]


async def test_a_task_that_loses_its_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_service.runtime.tasks.AGAIN_S", 0.01)
    told = 0

    async def deaf() -> None:
        nonlocal told
        while told < 2:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                told += 1

    tasks = Tasks(lambda work, failure: None)
    tasks.spawn(deaf(), name="deaf")
    await asyncio.sleep(0)
    await tasks.aclose()
    assert (told, len(tasks)) == (2, 0)


async def test_what_is_done_can_be_awaited_as_often_as_one_likes() -> None:
    assert [await DONE for _ in range(2)] == [None, None]
