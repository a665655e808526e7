"""News of many logs goes out together, in order, one call at a time; what the store does not take is said again."""

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncIterator, Sequence

import pytest

from llm_service.domain import Event, Head, Outcome
from llm_service.runtime import Tasks
from llm_service.storage import LogPart, StoreUnavailable
from llm_service.streams.codec import end_of, event_of, head_of
from llm_service.streams.outbox import AGAIN_S, FLUSH_S, MOST_BYTES, MOST_EVENTS, MOST_KEPT, MOST_KEPT_BYTES, Outbox
from tests.support.clock import ManualClock
from tests.support.ledger_entries import SilentLog
from tests.support.memory_streams import MemoryStreams
from tests.support.waiting import loop_turns

HEAD = Head(provider="p", model="m", upstream_model="u")
OK = Outcome(status="ok", finish_reason="stop")


def fail(work: str, failure: BaseException) -> None:
    raise AssertionError(work) from failure


class Site:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStreams()
        self.tasks = Tasks(fail)
        self.outbox = Outbox(self.store, clock=self.clock, tasks=self.tasks, log=SilentLog())

    def events(self, log_id: str, first: int, *texts: bytes) -> None:
        self.outbox.events(log_id, [Event(first + n, text) for n, text in enumerate(texts)])

    def end(self, log_id: str, *, next_seq: int) -> "asyncio.Task[None]":
        ending = self.outbox.end(log_id, OK, next_seq=next_seq, nano_usd=7, cost_source="catalog")
        return asyncio.ensure_future(ending)

    async def pass_time(self, seconds: float = FLUSH_S) -> None:
        self.clock.advance(seconds)
        await loop_turns(8)

    def raws(self, log_id: str) -> list[bytes]:
        return [event_of(data, 1).raw for data in self.store.logs[log_id].events]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.tasks.aclose()


async def test_news_of_a_moment_is_one_call_in_order(site: Site) -> None:
    site.outbox.open("x")
    site.outbox.head("x", HEAD)
    site.events("x", 1, b"1", b"2")
    site.events("y", 1, b"10")
    site.events("x", 3, b"3")
    assert site.store.calls == []
    await site.pass_time()
    assert len(site.store.calls) == 1
    assert [part.first_seq for part in site.store.calls[0]] == [1, 1]
    assert site.store.logs["x"].events == [b"c1", b"c2", b"c3"]
    assert head_of(site.store.logs["x"].head) == HEAD
    await site.pass_time(60)
    assert len(site.store.calls) == 1


async def test_log_is_there_before_its_generation_has_begun(site: Site) -> None:
    site.outbox.open("x")
    await site.pass_time()
    assert (site.store.logs["x"].events, site.store.logs["x"].head) == ([], b"")
    site.events("x", 1, b"{}")
    await site.pass_time()
    assert not site.store.logs["x"].cut


async def test_what_comes_during_a_call_goes_out_in_the_next_at_once(site: Site) -> None:
    site.store.gate = asyncio.Event()
    site.events("x", 1, b"{}")
    await site.pass_time()
    assert site.store.appending == 1
    site.events("x", 2, b"[]")
    site.events("y", 1, b"{}")
    await site.pass_time(1)
    assert (site.store.appending, site.store.calls) == (1, [])
    site.store.gate.set()
    await loop_turns(5)
    assert [[(part.log_id, part.first_seq) for part in call] for call in site.store.calls] == [
        [("x", 1)], [("x", 2), ("y", 1)]
    ]  # fmt: skip


async def test_end_does_not_wait_for_its_turn_and_returns_when_it_is_written(site: Site) -> None:
    site.events("x", 1, b"{}")
    site.store.gate = asyncio.Event()
    ending = site.end("x", next_seq=2)
    await loop_turns(3)
    assert (site.store.appending, ending.done()) == (1, False)
    site.store.gate.set()
    await ending
    assert end_of(site.store.logs["x"].end) == (OK, 7, "catalog")
    assert site.clock.timers == 0


async def test_end_returns_when_the_store_is_away_and_is_said_again_until_it_is_taken(site: Site) -> None:
    site.store.is_away = True
    site.outbox.head("x", HEAD)
    site.events("x", 1, b"{}", b"{}")
    await site.end("x", next_seq=3)
    await site.pass_time(3 * AGAIN_S)
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    log = site.store.logs["x"]
    assert (log.cut, len(log.events), end_of(log.end)[0], head_of(log.head)) == (False, 2, OK, HEAD)
    await site.pass_time(60)
    assert len(site.store.calls) == 1
    assert site.clock.timers == 0


async def test_end_that_was_written_and_not_heard_of_is_not_cut(site: Site) -> None:
    site.events("x", 1, b"{}")
    await site.pass_time()
    site.store.is_away = True
    await site.end("x", next_seq=2)
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    assert (site.store.logs["x"].cut, end_of(site.store.logs["x"].end)[0]) == (False, OK)


async def test_what_the_store_did_not_take_goes_before_what_has_come_since(site: Site) -> None:
    site.store.is_away = True
    site.events("x", 1, b"1", b"2")
    await site.pass_time()
    site.events("x", 3, b"3")
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    assert (site.store.logs["x"].cut, site.store.logs["x"].events) == (False, [b"c1", b"c2", b"c3"])
    assert site.clock.timers == 0


async def test_what_was_written_and_not_heard_of_is_there_once(site: Site) -> None:
    taken = site.store.append

    async def unheard(parts: Sequence[LogPart]) -> None:
        await taken(parts)
        raise StoreUnavailable("the line broke")

    site.store.append = unheard
    site.events("x", 1, b"1", b"2")
    await site.pass_time()
    site.store.append = taken
    site.events("x", 3, b"3")
    await site.pass_time(AGAIN_S)
    assert (site.store.logs["x"].cut, site.store.logs["x"].events) == (False, [b"c1", b"c2", b"c3"])


async def test_no_more_than_so_much_is_kept_and_what_is_lost_of_a_log_cuts_it(site: Site) -> None:
    site.store.is_away = True
    half = b"x" * (MOST_KEPT_BYTES * 2 // 3)
    site.events("old", 1, half)
    await site.pass_time()
    site.events("new", 1, half)
    await site.pass_time(AGAIN_S)
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    site.events("old", 2, b"{}")
    await site.pass_time()
    assert (site.store.logs["old"].cut, site.store.logs["old"].events) == (True, [])
    assert (site.store.logs["new"].cut, len(site.store.logs["new"].events)) == (False, 1)


async def test_ends_owed_are_bounded_and_the_oldest_go(site: Site) -> None:
    site.store.is_away = True
    await asyncio.gather(*(site.end(f"{number}", next_seq=1) for number in range(MOST_KEPT + 5)))
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    assert len(site.store.logs) == MOST_KEPT
    assert "4" not in site.store.logs
    assert "5" in site.store.logs


async def test_large_news_is_several_calls(site: Site) -> None:
    half = b"x" * (MOST_BYTES * 2 // 3)
    for name in "abc":
        site.events(name, 1, half)
    site.events("c", 2, half)
    await site.pass_time()
    calls = [[(part.log_id, part.first_seq) for part in call] for call in site.store.calls]
    assert calls == [[("a", 1)], [("b", 1)], [("c", 1)], [("c", 2)]]


async def test_what_was_kept_of_one_log_holds_nobody_up_for_long(site: Site) -> None:
    site.store.is_away = True
    site.outbox.head("x", HEAD)
    site.events("x", 1, *[b"{}"] * (2 * MOST_EVENTS + 1))
    await site.end("x", next_seq=2 * MOST_EVENTS + 2)
    site.events("y", 1, b"{}")
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    assert [sum(len(part.events) for part in call) for call in site.store.calls] == [MOST_EVENTS, MOST_EVENTS, 2]
    assert [bool(part.end) for call in site.store.calls for part in call] == [False, False, True, False]
    assert (site.store.logs["x"].cut, len(site.store.logs["x"].events)) == (False, 2 * MOST_EVENTS + 1)
    assert head_of(site.store.logs["x"].head) == HEAD


async def test_store_that_goes_away_in_the_midst_of_one_log_gets_the_rest_of_it(site: Site) -> None:
    taken = site.store.append

    async def once(parts: Sequence[LogPart]) -> None:
        await taken(parts)
        site.store.is_away = True

    site.store.append = once
    site.events("x", 1, *[b"{}"] * (MOST_EVENTS + 1))
    await site.end("x", next_seq=MOST_EVENTS + 2)
    site.store.append, site.store.is_away = taken, False
    await site.pass_time(AGAIN_S)
    assert (site.store.logs["x"].cut, len(site.store.logs["x"].events)) == (False, MOST_EVENTS + 1)
    assert end_of(site.store.logs["x"].end)[0] == OK


async def test_end_that_comes_while_the_store_goes_away_waits_for_no_second_time(site: Site) -> None:
    site.store.gate = asyncio.Event()
    site.events("x", 1, b"{}")
    await site.pass_time()
    ending = site.end("y", next_seq=1)
    await loop_turns(3)
    site.store.is_away = True
    site.store.gate.set()
    await loop_turns(5)
    assert ending.done()
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    assert end_of(site.store.logs["y"].end)[0] == OK


async def test_defect_of_one_call_holds_up_nothing_that_comes_meanwhile(site: Site) -> None:
    told: list[str] = []
    taken, site.store.gate = site.store.append, asyncio.Event()

    async def broken(parts: Sequence[LogPart]) -> None:
        await taken(parts)
        raise ValueError("a defect")

    site.tasks = site.outbox._tasks = Tasks(lambda work, failure: told.append(str(failure)))
    site.store.append = broken
    site.events("x", 1, b"{}")
    await site.pass_time()
    site.events("y", 1, b"{}")
    ending = site.end("z", next_seq=1)
    await loop_turns(3)
    site.store.append = taken
    site.store.gate.set()
    await loop_turns(5)
    assert (told, ending.done()) == (["a defect"], True)
    await site.pass_time(AGAIN_S)
    assert (len(site.store.logs["y"].events), end_of(site.store.logs["z"].end)[0]) == (1, OK)


async def test_nothing_is_said_again_once_it_is_closed(site: Site) -> None:
    site.store.is_away = True
    site.events("x", 1, b"{}")
    await site.pass_time()
    site.outbox.close()
    assert site.clock.timers == 0


async def test_nothing_of_what_is_written_is_kept(site: Site) -> None:
    class Watched(Event):
        __slots__ = ("__weakref__",)

    kept = Watched(1, b"{}")
    seen = weakref.ref(kept)
    site.outbox.events("x", [kept])
    del kept
    await site.end("x", next_seq=2)
    gc.collect()
    assert seen() is None
    assert (site.clock.timers, len(site.tasks)) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
async def test_logs_are_whole_however_the_store_comes_and_goes(site: Site, seed: int) -> None:
    dice = random.Random(seed)
    sent: dict[str, int] = dict.fromkeys("abc", 0)
    for _ in range(100):
        name = dice.choice("abc")
        match dice.randrange(4):
            case 0:
                site.store.is_away = dice.random() < 0.2
            case 1:
                await site.pass_time(dice.choice([FLUSH_S, FLUSH_S / 2, AGAIN_S]))
            case _:
                site.events(name, sent[name] + 1, b'{"n":%d}' % (sent[name] + 1))
                sent[name] += 1
    ends = [site.end(name, next_seq=sent[name] + 1) for name in sent]
    await loop_turns(5)
    site.store.is_away = False
    await site.pass_time(AGAIN_S)
    await asyncio.gather(*ends)
    for name, count in sent.items():
        log, raws = site.store.logs[name], [b'{"n":%d}' % number for number in range(1, count + 1)]
        assert log.end
        assert site.raws(name) == raws[: len(log.events)]
        assert (log.cut, len(log.events)) == (False, count)
