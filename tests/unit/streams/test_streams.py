"""Which streams a process still knows, and for how long."""

import asyncio

import pytest

from llm_service.domain import LLMServiceError, StreamCancelled
from llm_service.streams import Generation, Stream, Streams
from llm_service.streams.stream import STREAM_BYTES
from tests.support.clock import ManualClock
from tests.support.generations import OK, Reader, ScriptedSource
from tests.support.waiting import loop_turns


class Cut:
    def __init__(self) -> None:
        self.errors: list[LLMServiceError] = []

    def cut(self, error: LLMServiceError) -> None:
        self.errors.append(error)


class World:
    def __init__(self, *, retention_s: float = 60, total_bytes: int = 1_000_000) -> None:
        self.clock = ManualClock()
        self.streams = Streams(self.clock, retention_s=retention_s, total_bytes=total_bytes)

    def opened(self, number: int, generation: Generation | None = None) -> Stream:
        stream = Stream(id=f"str_{number}", request_id=f"req_{number}", owner="key_1", include_usage=False)
        stream.generation = generation
        self.streams.open(stream)
        return stream

    def known(self, *numbers: int) -> list[int]:
        return [number for number in numbers if self.streams.find(f"str_{number}") is not None]


def a_generation(source: ScriptedSource | None = None) -> Generation:
    generation = Generation(max_bytes=10_000)
    generation.begin(source or ScriptedSource(), as_events=True)
    return generation


async def test_an_ended_stream_is_known_for_its_time_and_no_longer() -> None:
    world = World()
    first = world.opened(1)
    world.clock.advance(500)
    assert world.known(1) == [1]
    world.streams.close(first)
    world.clock.advance(30)
    world.streams.close(world.opened(2))
    world.clock.advance(29)
    assert world.known(1, 2) == [1, 2]
    world.clock.advance(1)
    assert world.known(1, 2) == [2]
    world.clock.advance(30)
    assert world.known(1, 2) == []
    assert world.clock.timers == 0


async def test_those_that_ended_first_are_forgotten_first_when_they_hold_too_much() -> None:
    world = World(total_bytes=2 * STREAM_BYTES + 100)
    for number in (1, 2):
        world.streams.close(world.opened(number))
    source = ScriptedSource()
    third = world.opened(3, a_generation(source))
    source.say(b"x" * 200)
    world.streams.close(third)
    assert world.known(1, 2, 3) == [3]


async def test_what_holds_too_much_by_itself_is_not_kept() -> None:
    world = World(total_bytes=STREAM_BYTES - 1)
    world.streams.close(world.opened(1))
    assert world.known(1) == []


async def test_room_comes_back_when_a_stream_s_time_is_over() -> None:
    world = World(total_bytes=STREAM_BYTES)
    for number in range(1, 6):
        world.streams.close(world.opened(number))
        assert world.known(*range(1, 6)) == [number]
        world.clock.advance(60)
        assert world.known(*range(1, 6)) == []


async def test_closing_twice_keeps_it_once() -> None:
    world = World()
    stream = world.opened(1)
    world.streams.close(stream)
    world.streams.close(stream)
    world.clock.advance(60)
    assert world.known(1) == []


async def test_all_who_wait_for_the_end_of_all_streams_are_told() -> None:
    world = World()
    streams = [world.opened(number) for number in (1, 2)]
    waiting = [asyncio.ensure_future(world.streams.all_ended()) for _ in range(2)]
    given_up = asyncio.ensure_future(world.streams.all_ended())
    await loop_turns(2)
    given_up.cancel()
    world.streams.close(streams[0])
    await loop_turns(2)
    assert not any(task.done() for task in waiting)
    world.streams.close(streams[1])
    third = world.opened(3)  # before the waiting have been told
    await loop_turns(4)
    assert not any(task.done() for task in waiting)
    world.streams.close(third)
    await asyncio.gather(*waiting)
    await world.streams.all_ended()


async def test_what_runs_is_cancelled_and_what_has_ended_is_not() -> None:
    world = World()
    source, ended = ScriptedSource(), ScriptedSource()
    world.opened(1, a_generation(source))
    world.opened(2, a_generation(ended))
    world.opened(3)
    ended.finish(OK)
    world.streams.cancel_running(StreamCancelled("enough"))
    assert (source.detached, ended.detached) == (True, False)


@pytest.mark.parametrize("others", [False, True])
async def test_a_cancelled_stream_ends_for_its_readers_and_for_all_when_nobody_else_reads(others: bool) -> None:
    world, source = World(), ScriptedSource()
    generation = a_generation(source)
    stream = world.opened(1, generation)
    leader = Reader(leads=True)
    leader.follow(generation.reply(leads=True))
    if others:
        generation.join()
    assert leader.leave() == others
    leader.left = False
    sink = Cut()
    stream.sinks.append(sink)
    stream.cancel(StreamCancelled("enough"))
    assert len(sink.errors) == 1
    assert source.detached is not others


async def test_a_stream_that_goes_on_for_nobody_can_be_cancelled() -> None:
    world, source = World(), ScriptedSource()
    generation = Generation(max_bytes=100, finish=True)
    generation.begin(source, as_events=True)
    stream = world.opened(1, generation)
    stream.finish = True
    leader = Reader(leads=True)
    leader.follow(generation.reply(leads=True))
    assert leader.leave()
    leader.left = False
    stream.cancel(StreamCancelled("enough"))
    assert source.detached
    assert leader.ended


async def test_closed_it_knows_nothing_and_no_timer_is_left() -> None:
    world = World()
    world.streams.close(world.opened(1))
    world.opened(2)
    world.streams.aclose()
    assert world.known(1, 2) == []
    assert world.clock.timers == 0
