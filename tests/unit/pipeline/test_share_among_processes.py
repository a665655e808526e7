"""What processes that share a store share of the answers that are on their way, as if they were one."""

from collections.abc import AsyncIterator
from typing import cast

import pytest

from llm_service.cache import CacheOptions
from llm_service.domain import LedgerUnavailable, UpstreamError
from llm_service.pipeline.refresh import LET_S
from llm_service.runtime import Tasks
from llm_service.storage import Bulletin
from llm_service.streams import SharedStreams, Streams
from llm_service.streams.mirror import AWAY_S
from tests.support.clock import ManualClock
from tests.support.memory_streams import MemoryStreams
from tests.support.row import NANO_USD, Call, Client, World
from tests.support.service import LogLines
from tests.support.slow_cache import NumberedCache
from tests.support.waiting import loop_turns

TICK_S = 0.02
TURNS = 30


class Deployment:
    """Two processes, each with its row of stages, and what they share."""

    def __init__(self, options: CacheOptions | None = None) -> None:
        self.clock = ManualClock()
        self.cache = NumberedCache(self.clock)
        self.store = MemoryStreams(clock=self.clock)
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda work, failure: self.failures.append(failure))
        self.one = self._process("one", 1, options)
        self.two = self._process("two", 100, options)

    def _process(self, holder: str, first_id: int, options: CacheOptions | None) -> World:
        shared = SharedStreams(
            self.store.seen_by(holder),
            holder=holder,
            lives=self._lives,
            bulletin=cast(Bulletin, None),
            max_bytes=100_000,
            clock=self.clock,
            tasks=self.tasks,
            log=LogLines(),
        )
        streams = Streams(self.clock, retention_s=300, total_bytes=1_000_000, shared=shared)
        return World(cache=self.cache, streams=streams, clock=self.clock, first_id=first_id, options=options)

    async def _lives(self, holder: str) -> bool:
        return True

    async def pass_time(self, seconds: float = 0.2) -> None:
        for _ in range(round(seconds / TICK_S)):
            await loop_turns(TURNS)
            self.clock.advance(TICK_S)
        await loop_turns(TURNS)

    async def begun(self, world: World, **asked: bool) -> Client:
        """A request whose answer has begun, as far as it goes to the upstream."""
        before = len(world.calls)
        client = await world.ask(**asked)
        await self.pass_time()
        for call in world.calls[before:]:
            call.begins()
        await self.pass_time()
        return client

    def is_away(self, *worlds: World) -> None:
        """The store is away for these from now on, and for nobody else."""
        for world in (self.one, self.two):
            shared = world.streams.shared
            assert shared is not None
            shared._store.is_away = world in worlds  # type: ignore[attr-defined]

    @property
    def calls(self) -> int:
        return len(self.one.calls) + len(self.two.calls)


@pytest.fixture
async def site() -> AsyncIterator[Deployment]:
    made = Deployment()
    yield made
    await made.tasks.aclose()


def free(client: Client) -> bool:
    return client.has_all and client.record.nano_usd == 0 and client.record.cache == "coalesced"


async def test_a_request_joins_what_another_process_asks_for(site: Deployment) -> None:
    leader = await site.begun(site.one)
    followers = [await site.two.ask(), await site.two.ask(stream=False)]
    await site.pass_time()
    site.one.calls[0].says_all()
    await site.pass_time()
    assert (leader.record.nano_usd, [free(one) for one in followers], site.calls) == (NANO_USD, [True, True], 1)
    assert site.store.flights == {}


# -- purges


async def test_a_purge_of_others_stops_nobody_from_joining_here_or_elsewhere(site: Deployment) -> None:
    await site.begun(site.one)
    await site.cache.purge("tenant:eve")
    await site.cache.purge("all", stored_before=site.clock.time())
    followers = [await site.one.ask(), await site.two.ask()]
    await site.pass_time()
    site.one.calls[0].says_all()
    await site.pass_time()
    assert ([free(one) for one in followers], site.calls) == ([True, True], 1)


@pytest.mark.parametrize("first", ["one", "two"])
async def test_who_comes_after_a_purge_has_an_answer_that_was_begun_after_it(site: Deployment, first: str) -> None:
    before = [await site.begun(site.one), await site.two.ask()]
    await site.pass_time()
    await site.cache.purge("all")
    worlds = [site.one, site.two] if first == "one" else [site.two, site.one]
    leading, following = [await site.begun(world) for world in worlds]
    assert (site.calls, len(worlds[0].calls)) == (2, 1 + (first == "one"))
    site.one.calls[0].says_all()
    await site.pass_time()
    assert [client.has_all for client in before] == [True, True]
    late = await worlds[1].ask()  # what is purged was not kept
    worlds[0].calls[-1].says_all()
    await site.pass_time()
    assert (leading.record.nano_usd, free(following), free(late), site.calls) == (NANO_USD, True, True, 2)
    assert (await worlds[1].answered()).record.cache == "hit"
    assert site.store.flights == {}


async def test_who_comes_after_a_removal_of_the_answer_has_a_new_one(site: Deployment) -> None:
    leader = await site.begun(site.one)
    plan = leader.exchange.plan
    assert plan is not None
    await site.cache.remove(plan.digest)
    await site.begun(site.two)
    assert site.calls == 2


# -- on_disconnect


@pytest.mark.parametrize("finish", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_follower_elsewhere_wants_finished_is_finished_when_all_have_left(
    site: Deployment, *, finish: bool, stream: bool
) -> None:
    leader = await site.begun(site.one)
    follower = await site.two.ask(finish=finish, stream=stream)
    await site.pass_time()
    await follower.hang_up()
    await leader.hang_up()
    await site.pass_time(2)
    source = site.one.calls[0].source
    assert source is not None
    assert source.detached is not finish
    if finish:
        site.one.calls[0].says_all()
        await site.pass_time()
        assert (leader.record.status, leader.record.nano_usd) == ("ok", NANO_USD)


# -- readers elsewhere


async def left_to(site: Deployment) -> tuple[Client, Client]:
    """A leader that has left, and the only reader, which is in the other process."""
    leader = await site.begun(site.one)
    follower = await site.two.ask()
    await site.pass_time()
    await leader.hang_up()
    await site.pass_time()
    return leader, follower


@pytest.mark.parametrize("away_s", [0.1, 0.6, AWAY_S - 0.4])
async def test_who_reads_elsewhere_is_not_forgotten_while_the_store_is_away_for_a_moment(
    site: Deployment, away_s: float
) -> None:
    leader, follower = await left_to(site)
    for _ in range(3):
        site.is_away(site.one, site.two)
        await site.pass_time(away_s)
        site.is_away()
        await site.pass_time(1)
    site.one.calls[0].says_all()
    await site.pass_time()
    assert (free(follower), leader.record.status) == (True, "ok")


async def test_whether_somebody_reads_elsewhere_is_not_asked_for_ever_of_a_store_that_is_away(site: Deployment) -> None:
    await left_to(site)
    source = site.one.calls[0].source
    assert source is not None
    site.is_away(site.one)
    await site.pass_time(AWAY_S - 0.5)
    assert not source.detached
    await site.pass_time(1)
    assert source.detached


async def test_nobody_is_minded_twice_however_many_leave(site: Deployment) -> None:
    await left_to(site)
    for _ in range(5):
        passing = await site.one.ask()
        await passing.hang_up()
    assert [task.get_name() for task in site.tasks._running].count("readers elsewhere") == 1
    await site.two.clients[0].hang_up()
    await site.pass_time(2)
    source = site.one.calls[0].source
    assert source is not None
    assert source.detached


async def test_readers_elsewhere_are_told_that_the_account_of_a_good_answer_could_not_be_closed(
    site: Deployment,
) -> None:
    await site.begun(site.one)
    follower = await site.two.ask()
    await site.pass_time()
    site.one.ledger_is_full = LedgerUnavailable("full")
    site.one.calls[0].says_all()
    await site.pass_time()
    assert isinstance(follower.reader.error, LedgerUnavailable)
    assert not site.store.logs["req_1"].cut


# -- stale answers


STALE = CacheOptions(ttl_s=60, stale_while_revalidate_s=600)


async def stale(*, stream: bool = True) -> Deployment:
    """Two processes with an answer whose time is over."""
    site = Deployment(STALE)
    asked = await site.one.ask(stream=stream)
    await site.pass_time()
    site.one.calls[0].says_all()
    await site.pass_time()
    assert asked.has_all
    site.clock.advance(61)
    return site


def refreshing(site: Deployment) -> list[Call]:
    return [*site.one.calls[1:], *site.two.calls]


@pytest.mark.parametrize("stream", [False, True])
async def test_one_process_asks_for_a_new_answer_for_all_who_get_the_stale_one(*, stream: bool) -> None:
    site = await stale(stream=stream)
    clients = [await world.ask(stream=stream) for world in (site.one, site.two, site.one, site.two)]
    await site.pass_time(2 * LET_S)
    clients.append(await site.two.ask(stream=stream))
    await site.pass_time()
    assert [client.record.cache for client in clients] == ["stale"] * 5
    (call,) = refreshing(site)
    call.says_all()
    await site.pass_time()
    assert [(await world.answered()).record.cache for world in (site.one, site.two)] == ["hit", "hit"]
    assert (len(refreshing(site)), site.store.flights) == (1, {})
    await site.tasks.aclose()


async def test_a_new_answer_that_could_not_be_had_is_asked_for_by_the_next_one_wherever_it_comes() -> None:
    site = await stale()
    await site.one.ask()
    await site.two.ask()
    await site.pass_time()
    (call,) = refreshing(site)
    call.fails(UpstreamError("no"))
    await site.pass_time(2 * LET_S)
    assert (await site.two.ask()).record.cache == "stale"
    await site.pass_time()
    assert (len(refreshing(site)), len(site.two.calls)) == (2, 1)
    await site.tasks.aclose()


async def test_while_the_store_is_away_each_process_asks_for_a_new_answer() -> None:
    site = await stale()
    for world in (site.one, site.two):
        assert world.streams.shared is not None
        world.streams.shared._store.is_away = True  # type: ignore[attr-defined]
        await world.ask()
    await site.pass_time()
    assert len(refreshing(site)) == 2
    await site.tasks.aclose()
