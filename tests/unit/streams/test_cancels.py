"""A stream that is cancelled in another process ends, also where the message that says so is lost."""

from collections.abc import AsyncIterator

import pytest

from llm_service.domain import Outcome
from llm_service.streams import Generation
from llm_service.streams.cancels import LOOK_S
from tests.support.two_processes import TwoProcesses


@pytest.fixture
async def site() -> AsyncIterator[TwoProcesses]:
    made = TwoProcesses()
    yield made
    await made.tasks.aclose()


async def test_it_ends_at_once_where_the_message_comes(site: TwoProcesses) -> None:
    _, _, source = await site.begun()
    await site.cancel()
    await site.pass_time(0.6)  # until it is sure that nobody elsewhere reads it
    assert source.detached


async def test_it_ends_also_where_the_message_is_lost(site: TwoProcesses) -> None:
    stream, _, source = await site.begun()
    site.messages.lost = True
    await site.cancel()
    await site.pass_time(LOOK_S + 1)
    assert source.detached
    assert not stream.finish


async def test_a_cancellation_is_told_once(site: TwoProcesses) -> None:
    told: list[str] = []
    await site.begun()
    shared = site.one.shared
    assert shared is not None
    shared.on_cancelled(told.append)
    await site.cancel()
    await site.pass_time(5 * LOOK_S)
    assert told == ["str_1"]
    await site.cancel()
    await site.pass_time(5 * LOOK_S)
    assert told == ["str_1", "str_1"]


async def test_it_is_told_when_the_store_is_back(site: TwoProcesses) -> None:
    _, _, source = await site.begun()
    site.messages.lost = True
    await site.cancel()
    shared = site.one.shared
    assert shared is not None
    shared._store.is_away = True  # type: ignore[attr-defined]
    await site.pass_time(3 * LOOK_S)
    shared._store.is_away = False  # type: ignore[attr-defined]
    await site.pass_time(LOOK_S + 1)
    assert source.detached


async def test_nobody_looks_when_nothing_runs(site: TwoProcesses) -> None:
    stream, generation, source = await site.begun()
    source.finish()
    generation.close(Outcome(status="ok"))
    site.one.close(stream)
    await site.pass_time(2 * LOOK_S)
    assert site.clock.timers == 1  # for the stream that is kept a while


async def test_a_stream_that_ends_with_an_answer_of_its_own_is_looked_for_no_more(site: TwoProcesses) -> None:
    stream, _, _ = await site.begun()
    stream.generation = Generation(max_bytes=1)
    site.one.close(stream)
    shared = site.one.shared
    assert shared is not None
    assert shared._cancels._running == set()
