"""Every clause of the port BreakerStore, on the stores that processes share."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from llm_service.storage import BreakerAnswer, BreakerNews, Ejection, ValkeyBreakers
from llm_service.storage.scripts import ScriptRunner
from tests.support.clock import ManualClock
from tests.support.direct_valkey import open_runner, valkey_socket

__all__ = ["valkey_socket"]

A, B = "deepseek/deepseek-chat", "openrouter/deepseek/deepseek-chat"
DOWN = "it answered 503"
TWO_HOURS_S = 7200.0
MOST = 4096


class Site:
    """One store, as several processes see it, and its time."""

    def __init__(self, runner: ScriptRunner, prefix: str) -> None:
        self.runner = runner
        self.prefix = prefix
        self.clock = ManualClock()

    def process(self, holder: str = "one", *, by_its_own_time: bool = False) -> ValkeyBreakers:
        now = None if by_its_own_time else self.clock.time
        return ValkeyBreakers(self.runner, prefix=self.prefix, holder=holder, now=now)

    async def fill(self, count: int) -> None:
        """As if so many had been opened, each a millisecond after the one before."""
        text = """for i = 1, ARGV[1] do
            redis.call('HSET', KEYS[1], 'p/' .. i, '[1,1,0,0,0,"","",0,0,0]')
            redis.call('ZADD', KEYS[2], ARGV[2] + i, 'p/' .. i)
        end"""
        keys = [f"{self.prefix}{{adm}}:{name}" for name in ("breakers", "breakers:news")]
        await self.runner.run(text, keys, (count, round(self.clock.time() * 1000)))

    async def damage(self, name: str, text: bytes) -> None:
        key = f"{self.prefix}{{adm}}:breakers"
        await self.runner.run("return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])", (key,), (name, text))


@pytest.fixture(params=["socket", "client", "cluster"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """A server by the shortest way, and by the service's own client; a cluster."""
    if request.param == "socket":
        address = request.getfixturevalue("valkey_socket")
    else:
        address = request.getfixturevalue("valkey" if request.param == "client" else "valkey_cluster").url
    runner = await open_runner(address)
    yield Site(runner, "llm:" if request.param != "socket" else f"{uuid4().hex}:")
    await runner.aclose()


async def opened(store: ValkeyBreakers, name: str = A, *, pause_s: float = 1.0) -> BreakerAnswer:
    return await store.open(name, cause=DOWN, pause_s=pause_s)


async def claimed(
    store: ValkeyBreakers, name: str = A, *, number: int = 1, seen: int = 0, lease_s: float = 4.0
) -> BreakerAnswer:
    return await store.claim(name, number=number, lease_s=lease_s, seen=seen, cause=DOWN, pause_s=1.0)


async def news_of(store: ValkeyBreakers, name: str = A) -> BreakerNews:
    _, found = await store.news(0)
    (news,) = (one for one in found if one.name == name)
    return news


async def test_who_opens_it_opens_it_for_all(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    answer = await opened(one, pause_s=2)
    assert answer.done
    site.clock.advance(0.5)
    news = await news_of(other)
    assert (news.is_open, news.cause, news.pause_s, news.left_s) == (True, DOWN, 2, 1.5)
    assert news.since == site.clock.time() - 0.5
    assert news.version == answer.news.version


async def test_what_is_open_already_stays_as_it_is(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    first = await opened(one)
    site.clock.advance(0.5)
    again = await opened(other, pause_s=9)
    assert (again.done, again.news.left_s, again.news.version) == (False, 0.5, first.news.version)


async def test_of_many_that_open_it_at_once_one_does(site: Site) -> None:
    answers = await asyncio.gather(*(opened(site.process(f"{number}")) for number in range(15)))
    assert sum(answer.done for answer in answers) == 1
    assert len({answer.news.version for answer in answers}) == 1


async def test_of_many_that_claim_the_try_one_has_it(site: Site) -> None:
    await opened(site.process())
    site.clock.advance(1)
    answers = await asyncio.gather(*(claimed(site.process(f"{number}")) for number in range(15)))
    assert sum(answer.done for answer in answers) == 1
    assert {answer.news.left_s for answer in answers if not answer.done} == {4}


async def test_nobody_tries_during_the_pause(site: Site) -> None:
    store = site.process()
    await opened(store)
    site.clock.advance(0.4)
    answer = await claimed(store)
    assert (answer.done, answer.news.left_s) == (False, 0.6)


async def test_claim_without_a_verdict_passes_on_after_its_time(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    await opened(one)
    site.clock.advance(1)
    assert (await claimed(one, lease_s=3)).done
    assert not (await claimed(one, lease_s=3)).done
    site.clock.advance(2.9)
    assert not (await claimed(other)).done
    site.clock.advance(0.1)
    assert (await claimed(other)).done
    late = await one.failed(A, number=1, cause="late", pause_s=2, seen=0)
    assert (late.done, late.news.left_s) == (False, 4)


async def test_later_try_of_a_process_takes_the_place_of_its_last_one(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    assert (await claimed(one, number=2)).done
    assert not (await claimed(other, number=3)).done
    assert not (await claimed(one, number=1)).done
    assert (await claimed(one, number=3)).done
    assert not (await one.give_back(A, number=2)).done
    assert not (await one.failed(A, number=2, cause=DOWN, pause_s=2, seen=0)).done
    assert not (await claimed(other, number=4)).done
    assert (await one.give_back(A, number=3)).done


async def test_opening_that_comes_late_does_not_disturb_the_try(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    assert (await claimed(one)).done
    assert not (await opened(one)).done
    assert not (await claimed(other)).done
    assert (await one.failed(A, number=1, cause=DOWN, pause_s=2, seen=0)).done


async def test_try_that_goes_well_closes_it_for_all(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    open_at = (await opened(one)).news.version
    site.clock.advance(1)
    await claimed(other, seen=open_at)
    answer = await other.close(A, seen=open_at)
    assert (answer.done, answer.news.is_open) == (True, False)
    news = await news_of(one)
    assert (news.is_open, news.since, news.left_s) == (False, site.clock.time(), 0)
    assert news.version > open_at
    assert not (await one.close(A, seen=news.version)).done


async def test_try_that_fails_begins_the_next_pause(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    since = (await opened(one)).news.since
    site.clock.advance(1)
    await claimed(other)
    answer = await other.failed(A, number=1, cause="still down", pause_s=2, seen=0)
    assert answer.done
    news = await news_of(one)
    assert (news.is_open, news.cause, news.pause_s, news.left_s, news.since) == (True, "still down", 2, 2, since)
    site.clock.advance(2)
    assert (await claimed(one)).done


async def test_try_without_a_verdict_is_anybodys(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    await opened(one)
    site.clock.advance(1)
    await claimed(one)
    assert not (await other.give_back(A, number=1)).done
    before = (await news_of(one)).version
    answer = await one.give_back(A, number=1)
    assert (answer.done, answer.news.left_s) == (True, 0)
    assert answer.news.version > before
    assert (await claimed(other)).done


async def test_who_missed_the_closing_learns_it_when_it_claims(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    open_at = (await opened(one)).news.version
    closed_at = (await other.close(A, seen=None)).news.version
    answer = await claimed(one, seen=open_at)
    assert (answer.done, answer.news.is_open) == (False, False)
    assert (await claimed(one, seen=closed_at)).done
    assert (await news_of(other)).is_open


async def test_who_missed_a_later_opening_does_not_close_it(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    first = (await opened(one)).news.version
    await other.close(A, seen=first)
    await opened(other)
    answer = await one.close(A, seen=first)
    assert (answer.done, answer.news.is_open) == (False, True)
    assert (await one.close(A, seen=None)).done


async def test_failed_try_does_not_open_what_was_closed_later(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    first = (await opened(one)).news.version
    closed_at = (await other.close(A, seen=first)).news.version
    assert not (await one.failed(A, number=1, cause=DOWN, pause_s=2, seen=first)).done
    assert (await one.failed(A, number=1, cause=DOWN, pause_s=2, seen=closed_at)).done


async def test_of_those_that_open_for_their_share_so_many_are_open_at_most(site: Site) -> None:
    store, names = site.process(), [f"p/{number}" for number in range(4)]
    group = Ejection(most=2, names=names)
    answers = [await store.open(name, cause=DOWN, pause_s=9, within=[group]) for name in names[:3]]
    assert [answer.done for answer in answers] == [True, True, False]
    assert not answers[2].news.is_open
    assert (await store.open(names[3], cause=DOWN, pause_s=9)).done
    await store.close(names[0], seen=None)
    assert not (await store.open(names[2], cause=DOWN, pause_s=9, within=[group])).done
    await store.close(names[1], seen=None)
    wider = Ejection(most=9, names=[*names, A])
    assert not (await store.open(A, cause=DOWN, pause_s=9, within=[wider, Ejection(most=0, names=[A])])).done
    assert (await store.open(names[2], cause=DOWN, pause_s=9, within=[wider, group])).done


async def test_of_two_that_would_be_one_too_many_together_one_opens(site: Site) -> None:
    group = Ejection(most=1, names=[A, B])
    answers = await asyncio.gather(
        *(site.process(name).open(name, cause=DOWN, pause_s=9, within=[group]) for name in (A, B))
    )
    assert sum(answer.done for answer in answers) == 1


async def test_news_are_what_happened_since(site: Site) -> None:
    store = site.process()
    assert await store.news(0) == (0, [])
    for name in (A, B, "p/m"):
        await opened(store, name)
    newest, found = await store.news(0)
    assert [news.name for news in found] == [A, B, "p/m"]
    assert len({news.version for news in found}) == 3
    assert newest == found[-1].version
    assert await store.news(newest) == (newest, [])
    await store.close(A, seen=None)
    assert [(news.name, news.is_open) for news in (await store.news(newest))[1]] == [(A, False)]


async def test_versions_rise_though_the_stores_clock_is_set_back(site: Site) -> None:
    store = site.process()
    before = (await opened(store)).news.version
    site.clock.set_back(60)
    assert (await opened(store, B)).news.version > before


async def test_nobody_waits_longer_when_the_stores_clock_is_set_back(site: Site) -> None:
    one, other = site.process("one"), site.process("two")
    await opened(one, pause_s=2)
    site.clock.set_back(3600)
    assert (await news_of(other)).left_s == 2
    site.clock.advance(3602)
    assert (await claimed(one, lease_s=4)).done
    site.clock.set_back(3600)
    assert (await claimed(other)).news.left_s == 4


async def test_what_nobody_spoke_of_for_long_is_forgotten(site: Site) -> None:
    store = site.process()
    await opened(store, A)
    site.clock.advance(TWO_HOURS_S - 1)
    await opened(store, B)
    assert len((await store.news(0))[1]) == 2
    site.clock.advance(1)
    await opened(store, "p/m")
    assert [news.name for news in (await store.news(0))[1]] == [B, "p/m"]


async def test_only_the_latest_of_very_many_are_kept(site: Site) -> None:
    store = site.process()
    await site.fill(MOST)
    await opened(store, A)
    _, found = await store.news(0)
    assert [found[0].name, found[-2].name, found[-1].name] == ["p/2", f"p/{MOST}", A]
    assert len(found) == MOST


@pytest.mark.parametrize("text", [b"", b"nonsense", b"[1,2]", b"{}", b"7"])
async def test_what_somebody_else_wrote_is_no_breaker(site: Site, text: bytes) -> None:
    store = site.process()
    await opened(store)
    await site.damage(A, text)
    assert (await store.news(0))[1] == []
    assert (await opened(store)).done


async def test_names_and_causes_are_told_as_they_are(site: Site) -> None:
    name, cause = 'p/m/"\\é:x', 'it said "né"\n' + "x" * 500
    answer = await site.process().open(name, cause=cause, pause_s=1)
    assert (answer.news.name, answer.news.cause) == (name, cause[:200])


async def test_time_is_the_stores_own(site: Site) -> None:
    store = site.process(by_its_own_time=True)
    site.clock.advance(1e9)
    news = (await opened(store, pause_s=50)).news
    assert 49 < news.left_s <= 50
    assert abs(news.since - news.version / 1000) < 0.001
