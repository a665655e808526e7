"""A copy tells its readers what the log tells, and ends in every case: a reader of it never waits for nobody."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from llm_service.domain import TERMINAL, Event, Head, KeptAnswer, Outcome, StreamCancelled, StreamInterrupted, Usage
from llm_service.runtime import Tasks
from llm_service.storage import Flight, LogPart, StoreUnavailable
from llm_service.streams import Generation
from llm_service.streams.codec import end_bytes, event_bytes, head_bytes
from llm_service.streams.inbox import LOOK_S
from llm_service.streams.mirror import AWAY_S, DOUBT_S, GONE, LOST, MOST_LOOK_S, Mirrors
from tests.support.answers import digest_of, kept_answer
from tests.support.clock import ManualClock
from tests.support.memory_streams import KeptLog, MemoryStreams
from tests.support.waiting import loop_turns

HEAD = Head(provider="p", model="m", upstream_model="u")
OK = Outcome(status="ok", finish_reason="stop", usage=Usage(input_tokens=1, output_tokens=2))
A = digest_of("a")
FLIGHT = Flight(log_id="x", holder="other", as_events=False)


class Reader:
    """A sink."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.outcome: Outcome | None = None

    def write(self, batch: Sequence[Event]) -> None:
        assert self.outcome is None
        self.events += batch

    def end(self, outcome: Outcome) -> None:
        assert self.outcome is None
        self.outcome = outcome

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.events]

    @property
    def error(self) -> str:
        """The message of the error that was its last event."""
        assert self.outcome is not None
        error = self.events[-1].error
        return "" if error is None else error.message


class Site:
    def __init__(self, *, at_once: int = 256) -> None:
        self.clock = ManualClock()
        self.store = MemoryStreams(at_once=at_once)
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda _, failure: self.failures.append(failure))
        self.living = {"other"}
        self.asked = 0
        self.overs: list[Generation] = []
        self.mirrors = Mirrors(self.store, self.lives, clock=self.clock, tasks=self.tasks, max_bytes=10_000)
        self.answer: KeptAnswer | None = None
        self.sent = 0

    async def lives(self, holder: str) -> bool:
        self.asked += 1
        if self.store.is_away:
            raise StoreUnavailable("away")
        return holder in self.living

    async def find(self) -> KeptAnswer | None:
        return self.answer

    def copy(self) -> Generation:
        return self.mirrors.of_log("x", "other", self.overs.append)

    def wait(self) -> Generation:
        return self.mirrors.of_flight(FLIGHT, A, self.find, self.overs.append)

    async def tell(self, *texts: bytes, head: bool = True, end: Outcome | None = None) -> None:
        events = [Event(self.sent + n, text) for n, text in enumerate(texts, 1)]
        await self.append(*map(event_bytes, events), head=head_bytes(HEAD) if head else b"", end=end)

    async def append(self, *events: bytes, head: bytes = b"", end: Outcome | None = None) -> None:
        ended = b"" if end is None else end_bytes(end, nano_usd=7, cost_source="catalog")
        part = LogPart(log_id="x", first_seq=self.sent + 1, events=events, head=head, end=ended)
        self.sent += len(events)
        await self.store.append([part])

    async def pass_time(self, seconds: float = MOST_LOOK_S) -> None:
        for _ in range(round(seconds / LOOK_S)):
            await loop_turns(6)
            self.clock.advance(LOOK_S)
        await loop_turns(6)

    async def is_clean(self) -> bool:
        """Nothing of a copy is left, nothing asks the store any more, and nothing failed in the background."""
        await self.pass_time()
        before = len(self.store.reads)
        await self.pass_time(5 * MOST_LOOK_S)
        return (len(self.store.reads) - before, self.mirrors._copies, len(self.tasks), self.failures) == (0, {}, 0, [])


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.tasks.aclose()


def read(copy: Generation) -> Reader:
    reader = Reader()
    copy.reply().attach(reader)
    return reader


# -- copies


@pytest.mark.parametrize("at_once", [1, 2, 256])
async def test_copy_has_what_the_log_has_as_it_comes(at_once: int) -> None:
    site = Site(at_once=at_once)
    copy = site.copy()
    await site.tell()
    await site.pass_time()
    assert not copy.begun
    await site.tell(b'{"n":1}', b'{"n":2}')
    await site.pass_time()
    assert copy.head == HEAD
    reader = read(copy)
    assert reader.seqs == [1, 2]
    await site.tell(b'{"n":3}')
    await site.pass_time()
    assert reader.seqs == [1, 2, 3]
    await site.append(event_bytes(Event(4, b"{}", "finish")), end=OK)
    await site.pass_time()
    assert ([event.kind for event in reader.events], reader.outcome) == (["chunk"] * 3 + ["finish"], OK)
    assert (copy.settled, copy.nano_usd, copy.cost_source) == (True, 7, "catalog")
    assert site.overs == [copy]
    assert await site.is_clean()


async def test_terminal_events_wait_for_the_end(site: Site) -> None:
    copy = site.copy()
    await site.append(b"c{}", b"f{}", head=head_bytes(HEAD))
    await site.pass_time()
    reader = read(copy)
    await site.pass_time()
    assert [event.kind for event in reader.events if event.kind in TERMINAL] == []
    await site.append(end=OK)
    await site.pass_time()
    assert [event.kind for event in reader.events] == ["chunk", "finish"]


async def test_log_that_has_ended_is_copied_to_its_end(site: Site) -> None:
    await site.tell(*[b"{}"] * 300, end=OK)
    copy = site.copy()
    await copy.beginning()
    reader = read(copy)
    await loop_turns(10)
    assert (reader.seqs, reader.outcome) == ([*range(1, 301)], OK)


async def test_several_readers_have_one_copy_and_it_goes_on_for_the_last(site: Site) -> None:
    copy = site.copy()
    assert site.copy() is copy
    await site.tell(b"{}")
    await site.pass_time()
    first, second = read(copy), Reader()
    leaving = copy.reply().attach(second)
    late = read(site.copy())
    looks = len(site.store.reads)
    await site.pass_time(LOOK_S)
    assert len(site.store.reads) - looks <= 2
    leaving.detach()
    await site.tell(b"{}", end=OK)
    await site.pass_time()
    assert (first.seqs, second.seqs, late.seqs) == ([1, 2], [1], [1, 2])
    assert site.overs == [copy] * 3


async def test_whoever_is_to_be_told_is_told_also_when_the_copy_was_there_before(site: Site) -> None:
    site.mirrors.of_log("x", "other")
    copy = site.copy()
    await site.tell(b"{}", end=OK)
    await site.pass_time()
    assert site.overs == [copy]


async def test_logs_that_are_followed_at_once_are_read_in_one_call(site: Site) -> None:
    names = [f"log {number}" for number in range(20)]
    copies = [site.mirrors.of_log(name, "other") for name in names]
    await site.pass_time(LOOK_S)
    for seq in range(1, 6):
        parts = [LogPart(log_id=name, first_seq=seq, events=[b"c{}"], head=head_bytes(HEAD)) for name in names]
        await site.store.append(parts)
        await site.pass_time(LOOK_S)
    await site.pass_time(LOOK_S)
    assert {copy.last_seq for copy in copies} == {5}
    assert len(site.store.read_calls) <= 8
    before = len(site.store.read_calls)
    await site.pass_time(1)
    assert len(site.store.read_calls) - before <= 20


async def test_copy_that_nobody_reads_stops(site: Site) -> None:
    copy = site.copy()
    await site.tell(b"{}")
    await site.pass_time()
    reading = copy.reply().attach(Reader())
    assert copy.outcome is None
    reading.detach()
    assert copy.outcome is not None
    again = site.copy()
    assert again is not copy
    again.leave()
    assert await site.is_clean()
    assert site.overs == [copy, again] or site.overs == [again, copy]


async def test_who_joined_a_copy_in_the_moment_in_which_it_was_given_up_does_not_wait(site: Site) -> None:
    copy = site.copy()
    await site.tell(b"{}")
    await site.pass_time()
    copy.reply().attach(Reader()).detach()
    copy.join()  # found where flights are kept, before that was told
    waiting = site.tasks.spawn(copy.beginning(), name="waits")
    await site.pass_time(2 * LOOK_S)
    assert waiting.done()
    assert copy.settled


async def test_the_longer_nothing_comes_the_more_seldom_one_looks(site: Site) -> None:
    copy = site.copy()
    await site.tell(b"{}")
    await site.pass_time(1)
    looks = len(site.store.reads)
    await site.pass_time(1)
    assert len(site.store.reads) - looks <= 10
    await site.tell(b"{}")
    await site.pass_time()
    assert copy.last_seq == 2
    looks = len(site.store.reads)
    await site.pass_time(0.1)
    assert len(site.store.reads) - looks >= 2


# -- what goes wrong


@pytest.mark.parametrize("begun", [False, True], ids=["before content", "after content"])
async def test_copy_of_a_writer_that_has_ended_ends_with_all_that_there_is(site: Site, *, begun: bool) -> None:
    copy = site.copy()
    await site.tell(*([b"{}"] if begun else []))
    site.living.clear()
    await site.pass_time(2 * DOUBT_S)
    assert (copy.begun, copy.settled) == (begun, True)
    assert copy.outcome is not None
    assert isinstance(copy.outcome.error, StreamInterrupted)
    if begun:
        reader = read(copy)
        assert (reader.seqs, reader.error) == ([1, 1], GONE)
    assert await site.is_clean()


async def test_silent_writer_that_lives_is_waited_for_and_asked_after_seldom(site: Site) -> None:
    copy = site.copy()
    await site.tell()
    await site.pass_time(30 * DOUBT_S)
    assert copy.outcome is None
    assert 25 <= site.asked <= 31


@pytest.mark.parametrize("lost", ["never there", "evicted"])
async def test_log_that_is_not_there_is_not_waited_for_though_its_writer_lives(site: Site, lost: str) -> None:
    copy = site.copy()
    if lost == "evicted":
        await site.tell(b"{}")
        await site.pass_time()
        site.store.logs.clear()
    await site.pass_time(2 * DOUBT_S)
    assert copy.settled
    assert await site.is_clean()


@pytest.mark.parametrize("begun", [False, True], ids=["before content", "after content"])
async def test_log_with_a_gap_ends_there(site: Site, *, begun: bool) -> None:
    copy = site.copy()
    await site.tell(*([b"{}"] if begun else []))
    await site.pass_time()
    site.sent += 1
    await site.tell(b"{}", b"{}")
    await site.pass_time()
    assert (copy.begun, copy.settled) == (begun, True)
    if begun:
        reader = read(copy)
        assert (reader.seqs, reader.error) == ([1, 1], LOST)


@pytest.mark.parametrize("begun", [False, True], ids=["before content", "after content"])
async def test_copy_ends_when_the_store_stays_away(site: Site, *, begun: bool) -> None:
    copy = site.copy()
    await site.tell(*([b"{}"] if begun else []))
    await site.pass_time()
    site.store.is_away = True
    await site.pass_time(AWAY_S - 0.1)
    assert copy.outcome is None
    await site.pass_time(0.3)
    assert (copy.begun, copy.settled) == (begun, True)
    if begun:
        assert read(copy).error == LOST
    assert await site.is_clean()


async def test_copy_goes_on_when_the_store_returns_soon_each_time(site: Site) -> None:
    copy = site.copy()
    await site.tell(b"{}")
    await site.pass_time()
    reader = read(copy)
    for _ in range(3):
        site.store.is_away = True
        await site.pass_time(AWAY_S - 0.1)
        site.store.is_away = False
        await site.tell(b"{}")
        await site.pass_time()
    await site.tell(end=OK)
    await site.pass_time()
    assert (reader.seqs, reader.outcome) == ([1, 2, 3, 4], OK)
    assert await site.is_clean()


async def test_copy_that_nobody_reads_stops_also_while_the_store_is_away(site: Site) -> None:
    copy = site.copy()
    await site.pass_time()
    site.store.is_away = True
    await site.pass_time()
    copy.leave()
    await site.pass_time(2 * LOOK_S)
    assert copy.settled
    assert await site.is_clean()


POISONED = {
    "event": KeptLog("other", [b"c{}", b"x"], head_bytes(HEAD)),
    "event that is no JSON": KeptLog("other", [b"c{}", b"c{"], head_bytes(HEAD)),
    "head": KeptLog("other", [b"c{}"], b"[1]"),
    "end": KeptLog("other", [b"c{}"], head_bytes(HEAD), b"{}"),
    "end without a beginning": KeptLog("other", [], b"", b"{}"),
    "end without a head": KeptLog("other", [b"c{}"], b"", b"{}"),
    "holder": KeptLog("nobody", [], b""),
}


@pytest.mark.parametrize("name", POISONED)
async def test_poisoned_log_is_no_answer_and_no_failure_in_the_background(site: Site, name: str) -> None:
    site.store.logs["x"] = POISONED[name]
    site.living.discard("other" if name == "holder" else "")
    copy = site.copy()
    await site.pass_time(2 * DOUBT_S)
    assert copy.settled
    assert copy.outcome is not None
    assert copy.outcome.status == "error"
    assert await site.is_clean()


async def test_copies_are_cut_when_the_process_ends(site: Site) -> None:
    copy = site.copy()
    await site.tell(b"{}")
    await site.pass_time()
    reader = read(copy)
    site.mirrors.cut(StreamCancelled("The end."))
    assert (reader.seqs, reader.error) == ([1, 1], "The end.")
    assert await site.is_clean()


# -- whole answers


async def test_whole_answer_is_there_when_the_flight_is_over(site: Site) -> None:
    site.store.flights[A] = FLIGHT
    copy = site.wait()
    await site.pass_time(5 * DOUBT_S)
    assert not copy.settled
    assert "x" in site.store.readers
    site.answer = replace(kept_answer(at=0), form="whole", pieces=(b"{}",), kinds="")
    del site.store.flights[A]
    await site.pass_time()
    assert (copy.begun, copy.settled, copy.nano_usd) == (True, True, site.answer.nano_usd)
    assert copy.whole is not None
    assert site.overs == [copy]
    assert await site.is_clean()


@pytest.mark.parametrize("why", ["not kept", "writer gone", "store away", "another flight", "nobody waits"])
async def test_wait_for_a_flight_is_never_endless(site: Site, why: str) -> None:
    site.store.flights[A] = FLIGHT
    copy = site.wait()
    await site.pass_time()
    match why:
        case "not kept":
            del site.store.flights[A]
        case "writer gone":
            site.living.clear()
        case "store away":
            site.store.is_away = True
        case "another flight":
            site.store.flights[A] = Flight(log_id="y", holder="other", as_events=False)
        case "nobody waits":
            copy.leave()
    await site.pass_time(2 * DOUBT_S)
    assert (copy.begun, copy.settled, site.overs) == (False, True, [copy])
    assert await site.is_clean()


async def test_wait_ends_also_where_looking_for_the_answer_fails(site: Site) -> None:
    async def broken() -> KeptAnswer | None:
        raise ZeroDivisionError

    copy = site.mirrors.of_flight(FLIGHT, A, broken, site.overs.append)
    await site.pass_time()
    assert (copy.settled, [type(failure) for failure in site.failures]) == (True, [ZeroDivisionError])
