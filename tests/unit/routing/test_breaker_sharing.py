"""What one process learns of a deployment, all act upon."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import orjson
import pytest

from llm_service.domain import Candidate
from llm_service.routing import BreakerOptions
from tests.support.breakers import Processes
from tests.support.direct_valkey import DirectRunner, valkey_socket
from tests.support.waiting import loop_turns, until

__all__ = ["valkey_socket"]

DEPLOYMENT = Candidate(provider="deepseek", upstream_model="deepseek-chat")
OTHER = Candidate(provider="openrouter", upstream_model="deepseek/deepseek-chat")


class Site(Processes):
    """Two processes."""

    def __init__(self, runner: DirectRunner, prefix: str) -> None:
        super().__init__(runner, prefix)
        self.one, self.two = self.process("one"), self.process("two")

    @property
    def states(self) -> list[str]:
        now = self.clock.monotonic()
        return [breakers.of(DEPLOYMENT).state(now) for breakers in (self.one, self.two)]

    async def becomes(self, *states: str) -> None:
        await until(lambda: self.states == list(states))

    async def open_everywhere(self) -> None:
        self.fail(self.one, DEPLOYMENT)
        await self.becomes("open", "open")
        await self.told()

    async def told(self) -> None:
        """Whatever there was to tell is told, and whatever there was to read is read."""
        await until(lambda: len(self.tasks) == 2 and self.clock.timers == 2)

    async def learns(self) -> None:
        """Both read the store, and come to rest."""
        self.clock.advance(1.3)
        await self.told()


@pytest.fixture
async def site(valkey_socket: str) -> AsyncIterator[Site]:
    runner = DirectRunner(valkey_socket)
    made = Site(runner, f"{uuid4().hex}:")
    await made.told()
    yield made
    await made.tasks.aclose()
    await runner.aclose()
    assert made.failures == []
    assert [line for line in made.log.lines if line["level"] == "error"] == []


async def test_who_opens_tells_the_others_at_once(site: Site) -> None:
    site.fail(site.one, DEPLOYMENT)
    assert site.states == ["open", "closed"]
    await site.becomes("open", "open")
    there = site.two.of(DEPLOYMENT)
    assert (there.cause, there.open_until, there.pause_s) == ("it is down", site.clock.monotonic() + 1, 1)
    assert there.since == site.one.of(DEPLOYMENT).since
    assert not site.two.of(OTHER).broken


async def test_who_missed_the_message_learns_it_within_a_second_or_so(site: Site) -> None:
    site.messages.lost = True
    site.two.configure(BreakerOptions(open_s=60, open_max_s=60), lambda candidate: ())
    site.one.configure(BreakerOptions(open_s=60, open_max_s=60), lambda candidate: ())
    site.fail(site.one, DEPLOYMENT)
    await site.told()
    assert site.states == ["open", "closed"]
    site.clock.advance(1.2)
    await site.becomes("open", "open")
    site.one.reset("deepseek")
    await site.told()
    site.clock.advance(1.2)
    await site.becomes("closed", "closed")


async def test_process_that_begins_later_learns_it_as_well(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(0.5)
    late = site.process("late")
    await until(lambda: late.find(DEPLOYMENT))
    assert late.of(DEPLOYMENT).open_until == site.clock.monotonic() + 0.5


async def test_one_request_of_all_processes_tries_it(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    permits = await asyncio.gather(*(site.try_it(breakers, DEPLOYMENT) for breakers in (site.one, site.two) * 5))
    assert sum(map(bool, permits)) == 1
    assert site.states == ["half_open", "open"] if permits[0] else ["open", "half_open"]


async def test_good_probe_closes_it_everywhere(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    permit = await site.try_it(site.two, DEPLOYMENT)
    site.two.of(DEPLOYMENT).succeeded(site.clock.monotonic(), permit)
    await site.becomes("closed", "closed")


async def test_bad_probe_doubles_the_time_everywhere(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    permit = await site.try_it(site.two, DEPLOYMENT)
    site.two.of(DEPLOYMENT).failed(site.clock.monotonic(), permit, "still down")
    await until(lambda: site.one.of(DEPLOYMENT).cause == "still down")
    for breakers in (site.one, site.two):
        assert breakers.of(DEPLOYMENT).open_until == site.clock.monotonic() + 2


async def test_probe_without_a_verdict_leaves_its_place_to_any_process(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    permit = await site.try_it(site.two, DEPLOYMENT)
    assert not await site.try_it(site.one, DEPLOYMENT)
    site.two.of(DEPLOYMENT).abandoned(site.clock.monotonic(), permit)
    await site.becomes("half_open", "half_open")
    await site.told()
    assert await site.try_it(site.one, DEPLOYMENT)


async def test_client_that_leaves_while_it_is_asked_for_the_probe_gives_it_back(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    asking = asyncio.create_task(site.try_it(site.one, DEPLOYMENT))
    await loop_turns(1)
    asking.cancel()
    await asyncio.wait([asking])
    await until(lambda: site.one.of(DEPLOYMENT).ready(site.clock.monotonic()))
    await site.told()


async def test_probe_that_is_silent_gives_its_place_to_another_process(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    slow = await site.try_it(site.one, DEPLOYMENT)
    assert not await site.try_it(site.two, DEPLOYMENT)
    site.clock.advance(4)
    assert await site.try_it(site.two, DEPLOYMENT)
    site.one.of(DEPLOYMENT).succeeded(site.clock.monotonic(), slow)
    await site.becomes("closed", "closed")


async def test_who_missed_the_closing_goes_on_at_once_when_it_asks(site: Site) -> None:
    await site.open_everywhere()
    site.messages.lost = True
    site.clock.advance(1)
    permit = await site.try_it(site.one, DEPLOYMENT)
    site.one.of(DEPLOYMENT).succeeded(site.clock.monotonic(), permit)
    await site.told()
    permit = await site.try_it(site.two, DEPLOYMENT)
    assert permit
    assert site.states == ["closed", "closed"]
    site.two.of(DEPLOYMENT).succeeded(site.clock.monotonic(), permit)
    assert site.two.of(DEPLOYMENT).counts(site.clock.monotonic()) == (1, 0)


async def test_without_the_store_each_process_goes_on_by_itself(site: Site) -> None:
    site.runner.is_away = True
    site.fail(site.one, DEPLOYMENT)
    await site.told()
    assert site.states == ["open", "closed"]
    site.fail(site.two, DEPLOYMENT)
    site.clock.advance(1)
    permits = [await site.try_it(breakers, DEPLOYMENT) for breakers in (site.one, site.two, site.one, site.two)]
    assert [*map(bool, permits)] == [True, True, False, False]
    site.one.of(DEPLOYMENT).succeeded(site.clock.monotonic(), permits[0])
    assert site.states == ["closed", "half_open"]


async def test_what_could_not_be_told_is_told_when_the_store_is_there_again(site: Site) -> None:
    for breakers in (site.one, site.two):
        breakers.configure(BreakerOptions(open_s=60, open_max_s=60), lambda candidate: ())
    site.runner.is_away = True
    site.fail(site.one, DEPLOYMENT)
    await site.told()
    site.runner.is_away = False
    site.clock.advance(1.3)
    await site.becomes("open", "open")
    await site.told()
    site.runner.is_away = True
    site.two.reset("deepseek")
    await site.told()
    assert site.states == ["open", "closed"]
    site.runner.is_away = False
    site.clock.advance(1.3)
    await site.becomes("closed", "closed")


async def test_opening_that_is_over_when_the_store_returns_is_told_to_nobody(site: Site) -> None:
    site.runner.is_away = True
    site.fail(site.one, DEPLOYMENT)
    await site.told()
    await site.learns()
    site.runner.is_away = False
    await site.learns()
    assert site.messages.said == []


async def test_opening_for_its_share_is_taken_back_where_others_were_left_out_meanwhile(site: Site) -> None:
    options = BreakerOptions(failures=1000, min_requests=4, open_s=60, open_max_s=60)
    site.messages.lost = True
    for breakers in (site.one, site.two):
        breakers.configure(options, lambda candidate: [(DEPLOYMENT, OTHER)])
    site.fail(site.one, DEPLOYMENT)
    await site.told()
    site.fail(site.two, OTHER)
    assert site.two.of(OTHER).broken
    await until(lambda: site.two.of(OTHER).closed)
    assert site.one.of(DEPLOYMENT).broken


async def test_news_that_overtake_the_answer_to_a_claim_do_not_take_the_probe_away(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    given_back = await site.try_it(site.two, DEPLOYMENT)
    site.messages.lost = True
    site.two.of(DEPLOYMENT).abandoned(site.clock.monotonic(), given_back)
    await site.told()
    site.messages.lost = False
    site.runner.holds = "Claims to be"
    trying = asyncio.create_task(site.try_it(site.one, DEPLOYMENT))
    await until(lambda: site.runner.held)
    site.messages.tell(site.messages.said[-1])
    site.runner.go_on.set()
    assert await trying
    assert not await site.try_it(site.one, DEPLOYMENT)


async def test_news_that_come_while_the_store_is_asked_are_taken_in_later(site: Site) -> None:
    await site.open_everywhere()
    site.clock.advance(1)
    permit = await site.try_it(site.two, DEPLOYMENT)
    site.runner.holds = "Claims to be"
    trying = asyncio.create_task(site.try_it(site.one, DEPLOYMENT))
    await until(lambda: site.runner.held)
    site.messages.lost = True
    said = len(site.messages.said)
    site.two.of(DEPLOYMENT).failed(site.clock.monotonic(), permit, "still down")
    await until(lambda: len(site.messages.said) > said)
    await site.learns()
    site.runner.go_on.set()
    assert not await trying
    assert site.one.of(DEPLOYMENT).cause == "it is down"
    await site.learns()
    assert site.one.of(DEPLOYMENT).cause == "still down"


async def test_opening_that_is_answered_late_leaves_the_probe_its_place(site: Site) -> None:
    site.runner.holds = "Opens a breaker"
    site.fail(site.one, DEPLOYMENT)
    await until(lambda: site.runner.held)
    site.clock.advance(1)
    permit = await site.try_it(site.one, DEPLOYMENT)
    site.runner.go_on.set()
    await site.told()
    assert not await site.try_it(site.one, DEPLOYMENT)
    site.one.of(DEPLOYMENT).failed(site.clock.monotonic(), permit, "still down")
    assert site.one.of(DEPLOYMENT).pause_s == 2


async def test_store_that_lost_its_memory_is_believed_again(site: Site, valkey_socket: str) -> None:
    await site.open_everywhere()
    await site.learns()
    site.clock.set_back(3600)
    keys = [f"{site._prefix}{{adm}}:{name}" for name in ("breakers", "breakers:news")]
    await site.runner.run("return redis.call('DEL', KEYS[1], KEYS[2])", keys, ())
    await site.learns()
    assert {site.one.of(DEPLOYMENT).heard, site.two.of(DEPLOYMENT).heard} == {0}
    permit = await site.try_it(site.one, DEPLOYMENT)
    site.one.of(DEPLOYMENT).succeeded(site.clock.monotonic(), permit)
    await site.becomes("closed", "closed")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda news: b"nonsense",
        lambda news: b"7",
        lambda news: orjson.dumps(news[:-1]),
        lambda news: orjson.dumps([*news[:1], "soon", *news[2:]]),
        lambda news: orjson.dumps([*news[:4], {}, *news[5:]]),
    ],
)
async def test_messages_of_somebody_else_are_passed_over(site: Site, spoil: Callable[[list[Any]], bytes]) -> None:
    news = [f"{OTHER.provider}/{OTHER.upstream_model}", 2**50, True, 1.0, 2.0, 2.0, "it is down"]
    site.messages.tell(spoil(news).decode())
    assert site.two.find(OTHER) is None
    site.messages.tell(orjson.dumps(news).decode())
    assert site.two.of(OTHER).broken
