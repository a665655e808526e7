"""A stream that is cancelled in another process ends, also where the message that says so is lost."""

from collections.abc import AsyncIterator, Callable

import pytest

from llm_service.domain import Outcome
from llm_service.runtime import Tasks
from llm_service.streams import CANCEL_TOPIC, Generation, SharedStreams, Stream, Streams
from llm_service.streams.cancels import LOOK_S
from tests.support.clock import ManualClock
from tests.support.generations import Reader, ScriptedSource
from tests.support.memory_streams import MemoryStreams
from tests.support.service import LogLines
from tests.support.waiting import loop_turns


class Messages:
    """A bulletin that may lose what is said."""

    def __init__(self) -> None:
        self.lost = False
        self._hear: list[Callable[[str], None]] = []

    async def publish(self, topic: str, text: str) -> None:
        for hear in () if self.lost else self._hear:
            hear(text)

    def listen(self, topic: str, hear: Callable[[str], None]) -> None:
        assert topic == CANCEL_TOPIC
        self._hear.append(hear)

    async def aclose(self) -> None:
        self._hear.clear()


class Site:
    """A stream that runs in process one, and process two, where its owner cancels it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.messages = Messages()
        self.store = MemoryStreams(clock=self.clock)
        self.tasks = Tasks(lambda work, failure: None)
        self.one, self.two = self._process("one"), self._process("two")

    def _process(self, holder: str) -> Streams:
        shared = SharedStreams(
            self.store.seen_by(holder),
            holder=holder,
            lives=self._lives,
            bulletin=self.messages,
            max_bytes=10_000,
            clock=self.clock,
            tasks=self.tasks,
            log=LogLines(),
        )
        streams = Streams(self.clock, retention_s=60, total_bytes=100_000, shared=shared)
        self.messages.listen(CANCEL_TOPIC, streams.hear_cancelled)
        return streams

    async def _lives(self, holder: str) -> bool:
        return True

    async def begun(self, number: int = 1) -> tuple[Stream, Generation, ScriptedSource]:
        source, stream = ScriptedSource(), a_stream(number)
        shared = self.one.shared
        assert shared is not None
        generation = shared.generation(f"req_{number}", max_bytes=10_000, finish=True, as_events=True)
        stream.generation, stream.finish = generation, True
        self.one.open(stream)
        shared.publish(stream, ended=False)
        generation.begin(source, as_events=True)
        reader = Reader(leads=True)
        reader.follow(generation.reply(leads=True))
        assert reader.leave()
        source.say(b"{}")
        await self.pass_time(0.1)
        return stream, generation, source

    async def cancel(self, number: int = 1) -> None:
        found = await self.two.joined(f"str_{number}", owner="key_1")
        assert found is not None
        assert found.generation is not None
        found.generation.leave()
        await self.two.cancel(found)

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await loop_turns(10)
            self.clock.advance(0.02)
        await loop_turns(10)


def a_stream(number: int) -> Stream:
    return Stream(id=f"str_{number}", request_id=f"req_{number}", owner="key_1", include_usage=False)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.tasks.aclose()


async def test_it_ends_at_once_where_the_message_comes(site: Site) -> None:
    _, _, source = await site.begun()
    await site.cancel()
    await site.pass_time(0.6)  # until it is sure that nobody elsewhere reads it
    assert source.detached


async def test_it_ends_also_where_the_message_is_lost(site: Site) -> None:
    stream, _, source = await site.begun()
    site.messages.lost = True
    await site.cancel()
    await site.pass_time(LOOK_S + 1)
    assert source.detached
    assert not stream.finish


async def test_a_cancellation_is_told_once(site: Site) -> None:
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


async def test_it_is_told_when_the_store_is_back(site: Site) -> None:
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


async def test_nobody_looks_when_nothing_runs(site: Site) -> None:
    stream, generation, source = await site.begun()
    source.finish()
    generation.close(Outcome(status="ok"))
    site.one.close(stream)
    await site.pass_time(2 * LOOK_S)
    assert site.clock.timers == 1  # for the stream that is kept a while


async def test_a_stream_that_ends_with_an_answer_of_its_own_is_looked_for_no_more(site: Site) -> None:
    stream, _, _ = await site.begun()
    stream.generation = Generation(max_bytes=1)
    site.one.close(stream)
    shared = site.one.shared
    assert shared is not None
    assert shared._cancels._running == set()
