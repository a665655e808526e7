"""An inbox holds a generation back while its reader is slow, and loses nothing."""

import weakref
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Event, Head, Inbox, Outcome, Reply, Sink, StreamCancelled
from llm_service.domain.reply import WAITING_BYTES, WAITING_EVENTS


class Source(Reply):
    """A reply that is written by hand; what comes while it is paused waits, as in a generation's log."""

    def __init__(self) -> None:
        self.head = Head(provider="p", model="m", upstream_model="m")
        self.whole = None
        self.outcome = None
        self.sink: Sink | None = None
        self.paused = False
        self.pauses = 0
        self.detached = False
        self._waiting: list[Event] = []

    def attach(self, sink: Sink, after: int = 0) -> "Source":
        self.sink = sink
        return self

    def pause(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume(self) -> None:
        self.paused = False
        waiting, self._waiting = self._waiting, []
        if waiting and self.sink is not None:
            self.sink.write(waiting)

    def detach(self) -> bool:
        self.detached = True
        return False

    async def aclose(self) -> None:
        self.detached = True

    def say(self, events: Sequence[Event]) -> None:
        if self.paused:
            self._waiting.extend(events)
        elif self.sink is not None:
            self.sink.write(events)

    def end(self, outcome: Outcome) -> None:
        if self.sink is not None:
            self.sink.end(outcome)


def events(count: int, *, first: int = 1, raw: bytes = b"{}") -> list[Event]:
    return [Event(first + number, raw) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "raw", "paused"),
    [
        (WAITING_EVENTS, b"{}", False),
        (WAITING_EVENTS + 1, b"{}", True),
        (2, b"x" * (WAITING_BYTES // 2), False),
        (2, b"x" * (WAITING_BYTES // 2 + 1), True),
    ],
)
def test_the_source_is_paused_beyond_a_bound(count: int, raw: bytes, paused: bool) -> None:
    source, inbox = Source(), Inbox()
    inbox.subscribe(source)
    source.say(events(count, raw=raw))
    assert source.paused == paused


async def test_it_goes_on_when_all_is_taken() -> None:
    source, inbox = Source(), Inbox()
    inbox.subscribe(source)
    source.say(events(WAITING_EVENTS + 1))
    reading = inbox.events()
    for number in range(1, WAITING_EVENTS + 2):
        assert source.paused
        assert (await anext(reading)).seq == number
    source.say(events(2, first=WAITING_EVENTS + 2))
    assert (await anext(reading)).seq == WAITING_EVENTS + 2
    assert not source.paused


@given(batches=st.lists(st.integers(1, 400), min_size=1, max_size=12))
async def test_nothing_is_lost_or_doubled(batches: list[int]) -> None:
    source, inbox = Source(), Inbox()
    inbox.subscribe(source)
    reading, seen, said = inbox.events(), [], 0
    for count in batches:
        source.say(events(count, first=said + 1))
        said += count
        seen.append((await anext(reading)).seq)
    while len(seen) < said:
        seen.append((await anext(reading)).seq)
    assert seen == list(range(1, said + 1))
    source.end(Outcome(status="ok"))
    assert [event async for event in reading] == []


async def test_a_cut_takes_what_waits_and_lets_the_source_go() -> None:
    source, inbox = Source(), Inbox()
    inbox.subscribe(source)
    source.say(events(3))
    reading = inbox.events()
    await anext(reading)
    inbox.cut(StreamCancelled("Over."))
    assert source.detached
    with pytest.raises(StreamCancelled):
        await anext(reading)


async def test_a_cut_leaves_no_reference_cycle() -> None:
    inbox = Inbox()
    inbox.cut(StreamCancelled("Over."))
    with pytest.raises(StreamCancelled):
        await anext(inbox.events())
    gone = weakref.ref(inbox)
    del inbox
    assert gone() is None


async def test_who_reads_by_iterating_lets_go_when_it_leaves() -> None:
    source = Source()
    reading = source.__aiter__()
    ahead = source.attach
    source.attach = lambda sink, after=0: (ahead(sink, after), source.say(events(2)))[0]  # type: ignore[method-assign]
    assert (await anext(reading)).seq == 1
    await reading.aclose()  # type: ignore[attr-defined]
    assert source.detached


async def test_after_the_end_there_is_nothing_to_let_go() -> None:
    source, inbox = Source(), Inbox()
    inbox.subscribe(source)
    source.say(events(1))
    source.end(Outcome(status="ok"))
    assert [event.seq async for event in inbox.events()] == [1]
    inbox.leave()
    inbox.cut(StreamCancelled("Over."))
    assert not source.detached
    assert inbox.outcome is not None
