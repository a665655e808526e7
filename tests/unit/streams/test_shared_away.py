"""Streams among processes while the store that they share is away: nobody is told that a stream is not there."""

from collections.abc import AsyncIterator

import pytest

from llm_service.domain import CacheUnavailable
from llm_service.streams.shared import DOUBTFUL_S, LATER_S, PUBLISHES_FOR_S
from tests.support.generations import Reader
from tests.support.two_processes import TwoProcesses


@pytest.fixture
async def site() -> AsyncIterator[TwoProcesses]:
    made = TwoProcesses()
    yield made
    await made.tasks.aclose()


async def test_a_stream_that_cannot_be_looked_up_is_to_be_asked_for_again(site: TwoProcesses) -> None:
    await site.begun()
    site.is_away(True)
    with pytest.raises(CacheUnavailable) as refused:
        await site.found()
    assert (refused.value.retryable, refused.value.retry_after_s) == (True, 1.0)


async def test_a_stream_that_began_meanwhile_is_there_whole_when_the_store_is_back(site: TwoProcesses) -> None:
    site.is_away(True)
    _, _, source = await site.begun()
    source.say(b'{"n":2}')
    await site.pass_time(5)
    site.is_away(False)
    await site.pass_time(2 * LATER_S)
    generation = await site.found()
    assert generation is not None
    await site.pass_time(0.2)
    reader = Reader()
    reader.follow(generation.reply())
    assert reader.seqs == [1, 2]


async def test_a_stream_that_was_not_said_again_yet_is_to_be_asked_for_again(site: TwoProcesses) -> None:
    site.is_away(True)
    await site.begun()
    with pytest.raises(CacheUnavailable):
        await site.found()
    site.is_away(False)
    with pytest.raises(CacheUnavailable):
        await site.found()
    await site.pass_time(DOUBTFUL_S / 2)
    assert await site.found() is not None


async def test_it_is_not_said_again_for_ever(site: TwoProcesses) -> None:
    site.is_away(True)
    await site.begun()
    await site.pass_time(PUBLISHES_FOR_S + 1)
    site.is_away(False)
    await site.pass_time(2 * DOUBTFUL_S)
    assert await site.found() is None
