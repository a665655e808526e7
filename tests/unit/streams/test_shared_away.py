"""Streams among processes while the store that they share is away: nobody is told that a stream is not there."""

from collections.abc import AsyncIterator
from typing import cast

import pytest

from llm_service.domain import CacheUnavailable
from llm_service.runtime import Tasks
from llm_service.storage import Bulletin
from llm_service.streams import Generation, SharedStreams, Stream, Streams
from llm_service.streams.shared import DOUBTFUL_S, LATER_S, PUBLISHES_FOR_S
from tests.support.clock import ManualClock
from tests.support.generations import Reader, ScriptedSource
from tests.support.memory_streams import MemoryStreams
from tests.support.service import LogLines
from tests.support.waiting import loop_turns


class Site:
    """Two processes on one store."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStreams(clock=self.clock)
        self.tasks = Tasks(lambda work, failure: None)
        self.one, self.two = self._process("one"), self._process("two")

    def _process(self, holder: str) -> Streams:
        shared = SharedStreams(
            self.store.seen_by(holder),
            holder=holder,
            lives=self._lives,
            bulletin=cast(Bulletin, None),
            max_bytes=10_000,
            clock=self.clock,
            tasks=self.tasks,
            log=LogLines(),
        )
        return Streams(self.clock, retention_s=60, total_bytes=100_000, shared=shared)

    async def _lives(self, holder: str) -> bool:
        return True

    def is_away(self, away: bool) -> None:
        for streams in (self.one, self.two):
            assert streams.shared is not None
            streams.shared._store.is_away = away  # type: ignore[attr-defined]

    async def begun(self) -> ScriptedSource:
        """A stream in process one that goes on without its client."""
        source = ScriptedSource()
        stream = Stream(id="str_1", request_id="req_1", owner="key_1", include_usage=False)
        shared = self.one.shared
        assert shared is not None
        generation = shared.generation("req_1", max_bytes=10_000, finish=True, as_events=True)
        stream.generation, stream.finish = generation, True
        self.one.open(stream)
        shared.publish(stream, ended=False)
        generation.begin(source, as_events=True)
        reader = Reader(leads=True)
        reader.follow(generation.reply(leads=True))
        source.say(b'{"n":1}')
        await self.pass_time(0.1)
        return source

    async def found(self) -> Generation | None:
        stream = await self.two.joined("str_1", owner="key_1")
        return None if stream is None else stream.generation

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await loop_turns(10)
            self.clock.advance(0.02)
        await loop_turns(10)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.tasks.aclose()


async def test_a_stream_that_cannot_be_looked_up_is_to_be_asked_for_again(site: Site) -> None:
    await site.begun()
    site.is_away(True)
    with pytest.raises(CacheUnavailable) as refused:
        await site.found()
    assert (refused.value.retryable, refused.value.retry_after_s) == (True, 1.0)


async def test_a_stream_that_began_meanwhile_is_there_whole_when_the_store_is_back(site: Site) -> None:
    site.is_away(True)
    source = await site.begun()
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


async def test_a_stream_that_was_not_said_again_yet_is_to_be_asked_for_again(site: Site) -> None:
    site.is_away(True)
    await site.begun()
    with pytest.raises(CacheUnavailable):
        await site.found()
    site.is_away(False)
    with pytest.raises(CacheUnavailable):
        await site.found()
    await site.pass_time(DOUBTFUL_S / 2)
    assert await site.found() is not None


async def test_it_is_not_said_again_for_ever(site: Site) -> None:
    site.is_away(True)
    await site.begun()
    await site.pass_time(PUBLISHES_FOR_S + 1)
    site.is_away(False)
    await site.pass_time(2 * DOUBTFUL_S)
    assert await site.found() is None
