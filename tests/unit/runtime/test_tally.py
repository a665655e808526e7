"""A wait until nothing is open."""

import asyncio

from llm_service.runtime import Tally


async def test_nothing_open_is_not_waited_for() -> None:
    await Tally().empty()


async def test_all_who_wait_go_on_when_the_last_is_gone() -> None:
    tally = Tally()
    tally.add()
    tally.add()
    waiting = [asyncio.create_task(tally.empty()) for _ in range(2)]
    await asyncio.sleep(0)
    tally.remove()
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    tally.remove()
    await asyncio.gather(*waiting)


async def test_one_that_is_opened_at_once_again_is_waited_for_as_well() -> None:
    tally = Tally()
    tally.add()
    waiting = asyncio.create_task(tally.empty())
    await asyncio.sleep(0)
    tally.remove()
    tally.add()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    tally.remove()
    await waiting
