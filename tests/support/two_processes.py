"""Two processes on one store of streams, and the messages between them, in a test's own process and by its clock."""

from collections.abc import Callable

from llm_service.runtime import Tasks
from llm_service.streams import CANCEL_TOPIC, Generation, SharedStreams, Stream, Streams
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


class TwoProcesses:
    """Streams run in process one; the clients of process two come for them."""

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

    def is_away(self, away: bool) -> None:
        """Whether the store is, for both."""
        for streams in (self.one, self.two):
            assert streams.shared is not None
            streams.shared._store.is_away = away  # type: ignore[attr-defined]

    async def begun(self, number: int = 1) -> tuple[Stream, Generation, ScriptedSource]:
        """A stream in process one that has said something, and goes on without its client."""
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
        source.say(b'{"n":1}')
        await self.pass_time(0.1)
        return stream, generation, source

    async def found(self, number: int = 1) -> Generation | None:
        """What process two finds of it, and has joined."""
        stream = await self.two.joined(f"str_{number}", owner="key_1")
        return None if stream is None else stream.generation

    async def cancel(self, number: int = 1) -> None:
        """Its owner does, at process two."""
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
