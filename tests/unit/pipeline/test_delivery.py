"""The way out: watchers see events, terminal events wait for them to settle."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from llm_service.domain import Caller, Event, Head, InternalError, Outcome, Reply, Sink, Subscription, chat_request
from llm_service.pipeline import Exchange, WatchedReply, Watcher
from llm_service.runtime import Tasks
from tests.support.waiting import loop_turns, until

TASKS = Tasks(lambda name, failure: None)
OK = Outcome(status="ok")
CHUNKS = [Event(1, b'{"a":1}'), Event(2, b'{"b":2}')]
FINISH = [Event(3, b'{"f":3}', "finish"), Event(4, b'{"u":4}', "usage")]


class Scripted(Reply):
    """A reply that says what the test tells it to."""

    def __init__(self) -> None:
        self.head = Head(provider="p", model="m", upstream_model="m")
        self.whole = None
        self.outcome: Outcome | None = None
        self.sink: Sink | None = None
        self.said: list[str] = []

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        self.sink = sink
        return self

    def say(self, events: Sequence[Event], outcome: Outcome | None = None) -> None:
        assert self.sink is not None
        if events:
            self.sink.write(events)
        if outcome is not None:
            self.outcome = outcome
            self.sink.end(outcome)

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")

    def detach(self) -> None:
        self.said.append("detach")
        self.outcome = Outcome(status="aborted")

    async def aclose(self) -> None:
        self.detach()


class Kept:
    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.outcome: Outcome | None = None

    def write(self, batch: Sequence[Event]) -> None:
        self.seqs += [event.seq for event in batch]

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Slow(Watcher):
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.outcomes: list[str] = []

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        self.outcomes.append(outcome.status)
        return self._wait()

    async def _wait(self) -> None:
        await self.gate.wait()


class Fails(Watcher):
    def __init__(self, *, later: bool) -> None:
        self.later = later

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        if not self.later:
            raise RuntimeError("the journal is gone")
        return self._fail()

    async def _fail(self) -> None:
        raise RuntimeError("the journal is gone")


class HoldsTheFirst(Watcher):
    looks = True

    def __init__(self) -> None:
        self.held: list[Event] = []

    def see(self, event: Event) -> Event | None:
        if self.held:
            return event
        self.held.append(event)
        return None

    def flush(self) -> Sequence[Event]:
        return self.held


def an_exchange(*watchers: Watcher, tasks: Tasks = TASKS) -> Exchange:
    exchange = Exchange(
        id="req_1",
        stream_id="str_1",
        surface="rest",
        request=chat_request({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}),
        caller=Caller(key_id="local", scopes=frozenset()),
        tasks=tasks,
        received_at=0.0,
    )
    exchange.watchers += watchers
    return exchange


async def test_terminal_events_wait_until_the_watchers_have_settled() -> None:
    reply, kept, slow = Scripted(), Kept(), Slow()
    WatchedReply(reply, an_exchange(slow), TASKS).attach(kept)
    reply.say(CHUNKS)
    reply.say(FINISH, OK)
    await loop_turns()
    assert (kept.seqs, kept.outcome, slow.outcomes) == ([1, 2], None, ["ok"])
    slow.gate.set()
    await until(lambda: kept.outcome is not None)
    assert (kept.seqs, kept.outcome) == ([1, 2, 3, 4], OK)


async def test_without_anybody_to_wait_for_the_end_follows_at_once() -> None:
    reply, kept = Scripted(), Kept()
    WatchedReply(reply, an_exchange(), TASKS).attach(kept)
    reply.say([*CHUNKS, *FINISH], OK)
    assert (kept.seqs, kept.outcome) == ([1, 2, 3, 4], OK)


@pytest.mark.parametrize("later", [False, True])
async def test_an_answer_that_cannot_be_settled_ends_in_an_error_not_in_silence(later: bool) -> None:
    reported: list[str] = []
    tasks = Tasks(lambda work, failure: reported.append(f"{work}: {failure}"))
    reply, kept, outer = Scripted(), Kept(), Slow()
    WatchedReply(reply, an_exchange(outer, Fails(later=later), tasks=tasks), tasks).attach(kept)
    reply.say(CHUNKS)
    outer.gate.set()
    reply.say(FINISH, OK)
    await until(lambda: kept.outcome is not None)
    assert kept.outcome is not None
    assert kept.seqs == [1, 2, 3]
    assert isinstance(kept.outcome.error, InternalError)
    assert (reported, outer.outcomes) == (["settle: the journal is gone"], ["error"])  # nobody keeps such an answer


class FailsToFlush(HoldsTheFirst):
    def flush(self) -> Sequence[Event]:
        raise RuntimeError("a defect")


async def test_what_cannot_be_flushed_ends_in_an_error_that_is_settled() -> None:
    reply, kept, outer = Scripted(), Kept(), Slow()
    WatchedReply(reply, an_exchange(outer, FailsToFlush()), TASKS).attach(kept)
    reply.say([*CHUNKS, *FINISH], OK)
    outer.gate.set()
    assert kept.outcome is not None
    assert (kept.seqs, kept.outcome.status, outer.outcomes) == ([2, 3], "error", ["error"])


async def test_what_a_watcher_holds_back_comes_before_the_terminal_events() -> None:
    reply, kept = Scripted(), Kept()
    WatchedReply(reply, an_exchange(HoldsTheFirst()), TASKS).attach(kept)
    reply.say(CHUNKS)
    assert kept.seqs == [2]
    reply.say(FINISH, OK)
    assert kept.seqs == [2, 1, 3, 4]


async def test_a_reader_that_leaves_ends_the_reply_and_settles_it_as_aborted() -> None:
    reply, kept, slow = Scripted(), Kept(), Slow()
    subscription = WatchedReply(reply, an_exchange(slow), TASKS).attach(kept)
    reply.say(CHUNKS[:1])
    subscription.detach()
    assert (reply.said, slow.outcomes, kept.outcome) == (["detach"], ["aborted"], None)
    slow.gate.set()


async def test_a_slow_reader_pauses_the_reply() -> None:
    reply = Scripted()
    subscription = WatchedReply(reply, an_exchange(), TASKS).attach(Kept())
    subscription.pause()
    subscription.resume()
    assert reply.said == ["pause", "resume"]


async def test_a_reply_that_nobody_reads_is_given_up_and_settled() -> None:
    reply, slow = Scripted(), Slow()
    slow.gate.set()
    await WatchedReply(reply, an_exchange(slow), TASKS).aclose()
    assert (reply.said, slow.outcomes) == (["detach"], ["aborted"])
