"""The response cache for whoever administrates it: what it did, how full it is, and what it forgets."""

from datetime import timedelta
from typing import Any

import pytest

from llm_service.cache import TenantScope
from llm_service.domain import CacheUnavailable, InvalidRequest, KeptAnswer, LedgerUnavailable, MissingParameter
from llm_service.services import CACHE_STATUSES, CacheAdmin, Usage, stats_object
from llm_service.storage import CacheLook, MemoryCache, StoreUnavailable
from tests.support.answers import digest_of, kept_answer
from tests.support.usage_service import Books


class AwayCache(MemoryCache):
    """A shared store that does not answer those who administrate it."""

    async def sizes(self) -> Any:
        raise StoreUnavailable("it does not answer")

    async def purge(self, group: str, *, stored_before: float | None = None) -> int:
        raise StoreUnavailable("it does not answer")

    async def remove(self, digest: bytes) -> int:
        raise StoreUnavailable("it does not answer")


class World:
    """A cache and a ledger, and what administrates them."""

    def __init__(self, scope: TenantScope = "key", store: type[MemoryCache] = MemoryCache) -> None:
        self.books = Books()
        self.clock = self.books.clock
        self.store = store(self.clock, max_bytes=100_000, max_entry_bytes=10_000)
        self.admin = CacheAdmin(self.store, Usage(self.books.ledger), scope=scope, clock=self.clock)
        self._count = 0

    async def ask(self, status: str, *, times: int = 1, ago_h: float = 1, **fields: Any) -> None:
        for _ in range(times):
            self._count += 1
            at = self.clock.now() - timedelta(hours=ago_h)
            await self.books.keep(f"req_{self._count}", cache=status, at=at, **fields)

    async def stats(self, **given: str) -> dict[str, Any]:
        return stats_object(await self.admin.stats(given))

    def put(self, name: str, *groups: str, age_s: float = 0) -> KeptAnswer:
        answer = kept_answer(name, at=self.clock.time() - age_s)
        every = ("all", *groups)
        assert self.store.put(answer, every, self.store.look(answer.digest, every).epochs)
        return answer

    @property
    def kept(self) -> set[str]:
        return {name for name in "abcdef" if self.look(name).answer is not None}

    def look(self, name: str) -> CacheLook:
        return self.store.look(digest_of(name), ())


@pytest.fixture
def world() -> World:
    return World()


# -- statistics


async def test_the_figures_are_those_of_the_records(world: World) -> None:
    await world.ask("miss", times=3, nano_usd=7)
    await world.ask("hit", times=4, nano_usd=0, saved_nano_usd=1_500)
    await world.ask("coalesced", nano_usd=0, saved_nano_usd=500)
    await world.ask("stale")
    await world.ask("bypass", times=2)
    await world.ask("replay")
    total = (await world.stats())["total"]
    assert (total["requests"], total["hits"], total["hit_ratio"]) == (12, 6, round(6 / 9, 6))
    assert total["saved_usd"] == "0.0000065"
    none = dict.fromkeys(CACHE_STATUSES, 0)
    assert total["by_status"] == none | {
        "miss": 3,
        "hit": 4,
        "coalesced": 1,
        "stale": 1,
        "bypass": 2,
        "replay": 1,
    }


async def test_without_hits_and_misses_there_is_no_ratio(world: World) -> None:
    assert (await world.stats())["total"]["hit_ratio"] is None
    await world.ask("bypass")
    total = (await world.stats())["total"]
    assert (total["requests"], total["hit_ratio"]) == (1, None)


@pytest.mark.parametrize(
    ("ago_h", "hits"),
    [({}, 2), ({"since": 24 * 8}, 4), ({"until": 24}, 1), ({"since": 25, "until": 1}, 2), ({"since": 0.1}, 0)],
)
async def test_the_period_is_a_day_unless_given(world: World, ago_h: dict[str, float], hits: int) -> None:
    for hours in (0.5, 23.9, 24.1, 24 * 7):
        await world.ask("hit", ago_h=hours)
    given = {name: (world.clock.now() - timedelta(hours=hours)).isoformat() for name, hours in ago_h.items()}
    assert (await world.stats(**given))["total"]["hits"] == hits


async def test_groups_have_figures_of_their_own_and_a_total(world: World) -> None:
    await world.ask("hit", model="fast", saved_nano_usd=3)
    await world.ask("miss", model="fast")
    await world.ask("miss", model="slow", key_id="key_2")
    stats = await world.stats(by="model")
    assert [(one["model"], one["requests"], one["hit_ratio"]) for one in stats["data"]] == [
        ("fast", 2, 0.5),
        ("slow", 1, 0.0),
    ]
    assert (stats["total"]["requests"], stats["total"]["saved_usd"]) == (3, "0.000000003")
    both = await world.stats(by="key,model")
    assert [(one["key"], one["model"]) for one in both["data"]] == [("key_1", "fast"), ("key_2", "slow")]


async def test_the_store_tells_how_full_it_is(world: World) -> None:
    answer = world.put("a")
    stats = await world.stats()
    assert (stats["store"]["entries"], stats["store"]["bytes"] >= answer.size) == (1, True)
    assert (stats["store"]["max_bytes"], stats["reach"]) == (100_000, "process")


async def test_a_store_that_is_away_leaves_the_figures() -> None:
    world = World(store=AwayCache)
    await world.ask("hit")
    stats = await world.stats()
    assert (stats["store"], stats["total"]["hits"]) == (None, 1)


async def test_a_database_that_is_away_is_said(world: World) -> None:
    world.books.ledger.away = True
    with pytest.raises(LedgerUnavailable):
        await world.stats()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"by": "colour"}, "by"),
        ({"by": "model,tag"}, "by"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "until"),
        ({"model": "m"}, "model"),
    ],
)
async def test_what_cannot_be_asked_is_refused(world: World, given: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await world.stats(**given)
    assert refused.value.param == param


@pytest.mark.parametrize("by", ["colour", "model,tag"])
async def test_a_refused_group_is_told_those_that_there_are(world: World, by: str) -> None:
    with pytest.raises(InvalidRequest, match="must be some of model, key, hour, day, separated"):
        await world.stats(by=by)


# -- purges


@pytest.mark.parametrize(
    ("scope", "given", "gone"),
    [
        ("key", {"model": "fast"}, {"a", "b"}),
        ("key", {"key_id": "key_1"}, {"c"}),
        ("user", {"user": "ann"}, {"d"}),
        ("user", {"key_id": "key_1"}, {"c"}),
        ("key", {"tag": "team=a=b"}, {"e"}),
        ("key", {"all": "true"}, {"a", "b", "c", "d", "e", "f"}),
        ("key", {"digest": digest_of("f").hex()}, {"f"}),
    ],
)
async def test_a_purge_takes_what_is_named(scope: TenantScope, given: dict[str, str], gone: set[str]) -> None:
    world = World(scope)
    groups = {
        "a": "model:fast",
        "b": "model:fast",
        "c": "tenant:key:key_1",
        "d": "tenant:user:ann",
        "e": "tag:team=a=b",
    }
    for name in "abcdef":
        world.put(name, *([groups[name]] if name in groups else []))
    assert await world.admin.purge(given) == len(gone)
    assert world.kept == set("abcdef") - gone
    assert await world.admin.purge(given) == 0


async def test_only_older_answers_go_where_that_is_asked(world: World) -> None:
    world.put("a", "model:fast", age_s=50)
    world.put("b", "model:fast", age_s=30)
    assert await world.admin.purge({"model": "fast", "older_than_s": "40.5"}) == 1
    assert world.kept == {"b"}
    world.put("c", age_s=1)
    assert await world.admin.purge({"all": "true", "older_than_s": "0"}) == 2


REFUSED = [
    ({}, None, "all=true"),
    ({"older_than_s": "60"}, None, "Say what to purge"),
    ({"model": "a", "key_id": "b"}, "model", "key_id and model"),
    ({"all": "yes"}, "all", "'true'"),
    ({"tag": "team"}, "tag", "name=value"),
    ({"digest": "ab" * 16}, "digest", "64 hexadecimal digits"),
    ({"digest": "AB" * 32}, "digest", "64 hexadecimal digits"),
    ({"digest": "ab" * 32, "older_than_s": "1"}, "older_than_s", "one answer"),
    ({"model": "a", "older_than_s": "-1"}, "older_than_s", "number of seconds"),
    ({"model": "a", "older_than_s": "1e99"}, "older_than_s", "number of seconds"),
    ({"midel": "a"}, "midel", "did you mean 'model'?"),
    ({"user": "ann"}, "user", "purge by 'key_id'"),
]


@pytest.mark.parametrize(("given", "param", "said"), REFUSED)
async def test_what_is_not_clear_is_refused_and_nothing_goes(
    world: World, given: dict[str, str], param: str | None, said: str
) -> None:
    world.put("a", "model:a", "tenant:key:b")
    with pytest.raises(InvalidRequest) as refused:
        await world.admin.purge(given)
    assert (refused.value.param, said in refused.value.message) == (param, True)
    assert isinstance(refused.value, MissingParameter) == (param is None)
    assert world.kept == {"a"}


@pytest.mark.parametrize("given", [{"key_id": "key_1"}, {"user": "ann"}])
async def test_what_all_share_is_purged_for_nobody_alone(given: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="shared by all callers"):
        await World("global").admin.purge(given)


@pytest.mark.parametrize("given", [{"all": "true"}, {"digest": "ab" * 32}])
async def test_a_purge_that_did_not_reach_the_store_is_no_success(given: dict[str, str]) -> None:
    with pytest.raises(CacheUnavailable) as failed:
        await World(store=AwayCache).admin.purge(given)
    assert (failed.value.retryable, failed.value.retry_after_s) == (True, 1.0)
