"""A generation on its way to a socket that is full at times, and a client that gives credit at times."""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.api.websocket.frame_sink import CREDIT_S, FrameSink
from llm_service.domain import Draining, Event, Head, Outcome, Reply, Sink, StreamInterrupted, Subscription, Usage
from llm_service.streams import Generation, Stream
from tests.support.clock import ManualClock

OK = Outcome(status="ok", finish_reason="stop", usage=Usage(input_tokens=3, output_tokens=5))
HEAD = Head(provider="p", model="p/m", upstream_model="m")


class Wire:
    """A socket that takes ``room`` writes, and is full then."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.max_message_bytes = 1
        self.on_flow: Callable[[], None] = lambda: None
        self.written = b""
        self.room = room

    @property
    def full(self) -> bool:
        return self.room <= 0

    @property
    def waiting_bytes(self) -> int:
        return 0

    def write(self, frames: bytes) -> None:
        self.written += frames
        self.room -= 1
        if self.room == 0:
            self.on_flow()

    def hold(self) -> None:
        raise AssertionError("nobody asks for that here")

    def hear(self, *, first_bytes: int | None = None) -> None:
        raise AssertionError("nobody asks for that here")

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("nobody closes it here")

    def mind_silence(self, ping_s: float) -> None:
        raise AssertionError("nobody asks for that here")

    @property
    def frames(self) -> list[Any]:
        found, rest = [], self.written
        while rest:
            size, start = rest[1], 2
            if size == 126:
                size, start = int.from_bytes(rest[2:4], "big"), 4
            found.append(orjson.loads(rest[start : start + size]))
            rest = rest[start + size :]
        return found

    @property
    def kinds(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    @property
    def numbers(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["type"] == "chat.chunk"]


class Source(Reply):
    """Events that come when the test says so, and wait while the sink has paused them."""

    def __init__(self, after: int = 0) -> None:
        self.head = HEAD
        self.whole = None
        self.outcome = None
        self.waiting: list[Event] = []
        self.ending: Outcome | None = None
        self.paused = self.detached = False
        self.sink: Sink | None = None

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        self.sink = sink
        self._go()
        return self

    def come(self, events: Sequence[Event], outcome: Outcome | None = None) -> None:
        self.waiting += events
        self.ending = outcome or self.ending
        self._go()

    def _go(self) -> None:
        if self.sink is None or self.paused or self.detached:
            return
        events, self.waiting = self.waiting, []
        if events:
            self.sink.write(events)
        if self.ending is not None and not self.paused and not self.waiting:
            outcome, self.ending = self.ending, None
            self.sink.end(outcome)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._go()

    def detach(self) -> bool:
        self.detached = True
        return False

    async def aclose(self) -> None:
        self.detached = True


def chunk(seq: int) -> Event:
    return Event(seq, b'{"n":%d}' % seq)


def finish(seq: int) -> Event:
    return Event(seq, b'{"n":%d}' % seq, "finish")


def usage(seq: int) -> Event:
    return Event(seq, b'{"n":%d,"usage":{}}' % seq, "usage")


def stream(*, include_usage: bool = False) -> Stream:
    made = Stream(id="str_1", request_id="req_1", owner="k", include_usage=include_usage)
    made.generation = Generation(max_bytes=1000)
    made.generation.settled = True
    return made


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def source() -> Source:
    return Source()


def sink_on(wire: Wire, clock: ManualClock, **options: Any) -> FrameSink:
    options.setdefault("on_end", lambda: None)
    sink = FrameSink("a1", options.pop("stream", None) or stream(), wire, clock=clock, **options)
    wire.on_flow = sink.flow
    return sink


async def test_frames_in_their_order(wire: Wire, clock: ManualClock, source: Source) -> None:
    sink = sink_on(wire, clock)
    sink.subscribe(source)
    source.come([chunk(1)])
    source.come([chunk(2), chunk(3)])
    source.come([finish(4), usage(5)], OK)
    started, *chunks, done = wire.frames
    assert started == {
        "type": "chat.started", "id": "a1", "request_id": "req_1", "stream_id": "str_1", "model": "m", "provider": "p",
        "cache": "bypass",
    }  # fmt: skip
    assert chunks == [
        {"type": "chat.chunk", "id": "a1", "seq": seq, "cursor": f"str_1.{seq}", "chunk": {"n": seq}}
        for seq in (1, 2, 3, 4)
    ]
    assert (done["type"], done["finish_reason"], done["usage"]["total_tokens"]) == ("chat.done", "stop", 8)
    assert sink.ended
    await sink.written()


async def test_the_chunk_with_the_usage_comes_where_it_was_asked_for(
    wire: Wire, clock: ManualClock, source: Source
) -> None:
    sink_on(wire, clock, stream=stream(include_usage=True)).subscribe(source)
    source.come([chunk(1), finish(2), usage(3)], OK)
    assert wire.numbers == [1, 2, 3]


async def test_an_error_is_last_and_says_where_to_go_on(wire: Wire, clock: ManualClock, source: Source) -> None:
    sink_on(wire, clock).subscribe(source)
    error = StreamInterrupted("The provider hung up.", provider="p")
    source.come([chunk(1), Event(2, b"", "error", error=error)], Outcome(status="error", error=error))
    last = wire.frames[-1]
    assert (last["type"], last["error"]["code"], last["cursor"], last["stream_id"]) == (
        "error",
        "stream_interrupted",
        "str_1.1",
        "str_1",
    )
    assert wire.kinds.count("error") == 1


async def test_an_answer_that_was_given_up_says_so(wire: Wire, clock: ManualClock, source: Source) -> None:
    sink_on(wire, clock).subscribe(source)
    source.come([chunk(1)], Outcome(status="aborted"))
    assert wire.frames[-1]["error"]["code"] == "stream_cancelled"


async def test_a_cut_lets_the_source_go_and_nothing_follows(wire: Wire, clock: ManualClock, source: Source) -> None:
    sink = sink_on(wire, clock)
    sink.subscribe(source)
    source.come([chunk(1)])
    sink.cut(Draining("It ends."))
    sink.cut(Draining("Once more."))
    assert source.detached
    assert wire.kinds == ["chat.started", "chat.chunk", "error"]
    await sink.written()


async def test_before_its_head_an_error_names_no_stream(wire: Wire, clock: ManualClock) -> None:
    sink_on(wire, clock).cut(Draining("It ends."))
    assert "stream_id" not in wire.frames[0]


async def test_without_credit_the_source_waits(wire: Wire, clock: ManualClock, source: Source) -> None:
    sink = sink_on(wire, clock, credit=2)
    sink.subscribe(source)
    source.come([chunk(1), chunk(2), chunk(3)])
    assert (wire.numbers, source.paused) == ([1, 2], True)
    sink.add_credit(1)
    assert (wire.numbers, source.paused) == ([1, 2, 3], True)
    sink.add_credit(5)
    assert not source.paused
    source.come([finish(4)], OK)
    assert (wire.numbers, wire.kinds[-1]) == ([1, 2, 3, 4], "chat.done")


async def test_the_end_needs_no_credit_but_its_last_chunk_does(wire: Wire, clock: ManualClock, source: Source) -> None:
    sink = sink_on(wire, clock, credit=1)
    sink.subscribe(source)
    source.come([chunk(1), finish(2)], OK)
    assert wire.kinds[-1] == "chat.chunk"
    sink.add_credit(1)
    source.resume()
    assert wire.kinds[-2:] == ["chat.chunk", "chat.done"]


async def test_who_gives_no_credit_is_given_up(wire: Wire, clock: ManualClock, source: Source) -> None:
    sink = sink_on(wire, clock, credit=1)
    sink.subscribe(source)
    source.come([chunk(1), chunk(2)])
    clock.advance(CREDIT_S - 1)
    assert not sink.ended
    sink.add_credit(1)
    clock.advance(CREDIT_S - 1)
    assert not sink.ended
    clock.advance(1)
    assert (wire.frames[-1]["error"]["code"], wire.frames[-1]["seq"]) == ("stream_interrupted", 2)
    assert source.detached
    assert clock.timers == 0


async def test_a_full_socket_pauses_from_the_first_event_on(clock: ManualClock, source: Source) -> None:
    wire = Wire(room=1)
    sink_on(wire, clock).subscribe(source)
    source.come([chunk(1)])
    assert (wire.kinds, source.paused) == (["chat.started"], True)
    wire.room = 10
    wire.on_flow()
    assert (wire.numbers, source.paused) == ([1], False)


async def test_what_is_no_text_in_utf8_spoils_one_chunk_and_not_the_socket(
    wire: Wire, clock: ManualClock, source: Source
) -> None:
    sink_on(wire, clock).subscribe(source)
    source.come([Event(1, b'{"n":"\xff"}'), Event(2, '{"n":"ä"}'.encode())])
    assert [frame["chunk"]["n"] for frame in wire.frames[1:]] == ["\ufffd", "ä"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.integers(1, 5)),
        st.tuples(st.just("credit"), st.integers(1, 4)),
        st.tuples(st.just("room"), st.integers(1, 3)),
    ),
    max_size=30,
)


@given(steps=STEPS, credit=st.none() | st.integers(1, 3), room=st.integers(1, 4))
def test_whatever_the_pace_each_event_comes_once_in_order_and_never_beyond_the_credit(
    steps: list[tuple[str, int]], credit: int | None, room: int
) -> None:
    async def run() -> None:
        wire, source, granted, total = Wire(room), Source(), credit, 0
        sink = sink_on(wire, ManualClock(), credit=credit)
        sink.subscribe(source)
        for step, count in steps:
            if step == "come":
                source.come([chunk(total + 1 + number) for number in range(count)])
                total += count
            elif step == "credit":
                granted = len(wire.numbers) + count if granted is None else granted + count
                sink.add_credit(count)
            else:
                wire.room = count
                wire.on_flow()
            assert wire.numbers == list(range(1, len(wire.numbers) + 1))
            assert granted is None or len(wire.numbers) <= granted
            if not wire.full and (granted is None or granted > len(wire.numbers)):
                assert len(wire.numbers) == total
        source.come([finish(total + 1)], OK)
        wire.room = 1000
        wire.on_flow()
        if granted is not None:
            sink.add_credit(total + 1)
        assert wire.numbers == list(range(1, total + 2))
        assert wire.kinds[-1] == "chat.done"

    asyncio.run(run())


@pytest.mark.parametrize("ends", ["done", "failed", "left"])
async def test_its_end_is_told_once_and_after_its_last_frame(
    wire: Wire, clock: ManualClock, source: Source, ends: str
) -> None:
    told: list[str] = []
    sink = sink_on(wire, clock, on_end=lambda: told.append(wire.kinds[-1]))
    sink.subscribe(source)
    source.come([chunk(1), finish(2)])
    assert told == []
    match ends:
        case "done":
            source.come([], OK)
        case "failed":
            sink.cut(StreamInterrupted("enough"))
        case _:
            sink.leave()
    sink.leave()
    assert told == [{"done": "chat.done", "failed": "error", "left": "chat.chunk"}[ends]]


async def test_one_that_has_ended_does_not_keep_who_was_told(wire: Wire, clock: ManualClock) -> None:
    told = Listener()
    sink = sink_on(wire, clock, on_end=told.tell)
    gone = weakref.ref(told)
    sink.leave()
    assert told.count == 1
    del told
    assert gone() is None


class Listener:
    """Counts how often it is told of an end."""

    count = 0

    def tell(self) -> None:
        self.count += 1
