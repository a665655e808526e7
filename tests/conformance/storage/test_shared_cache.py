"""What holds for the shared cache alone: damage in the store, its absence, its return, and what expires in it."""

import asyncio
import pickle
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from llm_service.runtime import SystemClock
from llm_service.storage import MemoryCache, ScriptRunner, StoreUnavailable, ValkeyCache, ValkeyClient, parse_store_url
from tests.support.answers import GROUPS, digest_of, kept_answer
from tests.support.clock import ManualClock
from tests.support.direct_valkey import DirectRunner, open_runner, valkey_socket
from tests.support.valkey import Server
from tests.support.waiting import loop_turns, until, until_answered

__all__ = ["valkey_socket"]

META = ("index", "expiry", "sizes", "totals", "epochs")


class Line:
    """Implements ScriptRunner over another one, until it is cut."""

    def __init__(self, runner: ScriptRunner) -> None:
        self._runner = runner
        self.is_cut = False
        self.life = "one"
        self.args: Sequence[Any] = ()
        self.answer: Any = None
        self.then: Callable[[], Awaitable[Any]] | None = None
        """What happens once after the next script, before its caller hears of it."""

    @property
    def run_id(self) -> str:
        return self.life

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        if self.is_cut:
            raise StoreUnavailable("cut")
        assert all("{adm}" in key for key in keys)
        self.args = args
        self.answer = answer = await self._runner.run(script, keys, args)
        then, self.then = self.then, None
        if then is not None:
            await then()
        return answer


class Site:
    """A server with a cache of ours in it, and caches of several processes."""

    def __init__(self, runner: DirectRunner) -> None:
        self.redis = runner.client
        self.clock = ManualClock()
        self.prefix = f"{uuid4().hex}:"
        self.line = Line(runner)
        self.other_line = Line(runner)
        self.one = self.process(self.line)
        self.other = self.process(self.other_line)

    def process(self, line: ScriptRunner, *, max_bytes: int = 1_000_000) -> ValkeyCache:
        here = MemoryCache(self.clock, max_bytes=1_000_000, max_entry_bytes=100_000)
        return ValkeyCache(
            line, prefix=self.prefix, clock=self.clock, max_bytes=max_bytes, max_entry_bytes=100_000, here=here
        )

    def key(self, name: str) -> str:
        return f"{self.prefix}{{adm}}:cache:{name}"

    async def put(self, cache: ValkeyCache, name: object = "a", **how: float) -> bool:
        epochs = (await cache.look(digest_of(name), GROUPS)).epochs
        return await cache.put(kept_answer(name, at=self.clock.time(), **how), GROUPS, epochs)

    async def has(self, cache: ValkeyCache, name: object = "a") -> bool:
        answer = (await cache.look(digest_of(name), GROUPS)).answer
        assert answer is None or answer == kept_answer(name, at=answer.stored_at, kept_s=answer.kept_s)
        return answer is not None


@pytest.fixture
async def site(valkey_socket: str) -> AsyncIterator[Site]:
    runner = DirectRunner(valkey_socket)
    yield Site(runner)
    await runner.aclose()


# -- copies


async def test_blob_comes_along_only_where_there_is_no_copy(site: Site) -> None:
    await site.put(site.one)
    assert await site.has(site.one)
    assert site.line.answer[1] == b""
    assert await site.has(site.other)
    assert site.other_line.answer[1] != b""
    assert await site.has(site.other)
    assert site.other_line.answer[1] == b""


async def test_copy_is_not_given_out_when_another_process_has_put_a_newer_one(site: Site) -> None:
    await site.put(site.one)
    site.clock.advance(1)
    await site.put(site.other)
    answer = (await site.one.look(digest_of("a"), GROUPS)).answer
    assert answer is not None
    assert answer.stored_at == site.clock.time()


# -- among processes


async def test_purge_is_seen_before_what_it_takes_is_gone(site: Site) -> None:
    await site.put(site.one)
    seen: list[bool] = []

    async def look() -> None:
        seen.append(await site.has(site.other))

    site.line.then = look
    await site.one.purge("all")
    assert seen == [False]


async def test_purge_leaves_what_is_put_after_it_began(site: Site) -> None:
    await site.put(site.one)
    site.line.then = lambda: site.put(site.other)
    assert await site.one.purge("all") == 0
    assert await site.has(site.other)
    assert await site.has(site.one)


async def test_damaged_entry_that_was_put_anew_meanwhile_is_not_removed(site: Site) -> None:
    await site.put(site.other)
    await site.redis.hset(site.key(digest_of("a").hex()), "b", b"foreign")
    site.line.then = lambda: site.put(site.other)
    assert not await site.has(site.one)
    assert await site.has(site.one)


# -- damage

POISONS = (
    pickle.dumps(kept_answer(at=0)),
    b"",
    b"{}",
    b"LLMa",
    b"\x80\x04\x95",
    b"x" * 500_000,
)


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: f"{poison[:6]!r}")
async def test_poisoned_blob_is_a_miss_and_is_removed(site: Site, poison: bytes) -> None:
    await site.put(site.one)
    await site.redis.hset(site.key(digest_of("a").hex()), mapping={"b": poison, "s": "mine"})
    assert not await site.has(site.other)
    assert await site.redis.exists(site.key(digest_of("a").hex())) == 0
    assert (await site.other.sizes()).bytes == 0
    assert not await site.has(site.one)
    assert await site.put(site.one)
    assert await site.has(site.other)


async def test_answer_to_another_request_is_a_miss(site: Site) -> None:
    await site.put(site.one, "a")
    await site.put(site.one, "b")
    blob = await site.redis.hget(site.key(digest_of("b").hex()), "b")
    await site.redis.hset(site.key(digest_of("a").hex()), mapping={"b": blob, "s": "mine"})
    assert not await site.has(site.other, "a")
    assert await site.has(site.other, "b")


@pytest.mark.parametrize("name", [*META, "a"])
async def test_key_of_another_kind_costs_answers_and_nothing_else(site: Site, name: str) -> None:
    await site.put(site.one, "a")
    await site.put(site.one, "b")
    await site.redis.set(site.key(digest_of("a").hex() if name == "a" else name), pickle.dumps(["foreign"]))
    await site.has(site.other, "a")
    await site.put(site.one, "a")
    assert await site.put(site.one, "a")
    assert await site.has(site.other, "a")
    assert await site.has(site.other, "b") == await site.has(site.one, "b") == (name == "a")
    assert await site.other.purge("all") > 0
    assert not await site.has(site.one, "a")


@pytest.mark.parametrize("name", META)
async def test_lost_key_never_revives_an_answer(site: Site, name: str) -> None:
    early = (await site.one.look(digest_of("a"), GROUPS)).epochs
    await site.other.purge("all")
    await site.redis.delete(site.key("totals"), site.key(name))
    assert not await site.one.put(kept_answer(at=site.clock.time()), GROUPS, early)


@pytest.mark.parametrize("field", ["purges", "floor", "bytes", "tick", "began", "evictions"])
async def test_foreign_number_costs_answers_and_nothing_else(site: Site, field: str) -> None:
    small = site.process(site.line, max_bytes=5_000)
    await site.put(small, "a")
    await site.redis.hset(site.key("totals"), field, "many")
    for name in "bcdef":
        await site.put(small, name)
        await site.put(small, name)
    assert await site.has(small, "f")
    assert 0 < (await small.sizes()).bytes <= 5_000


@pytest.mark.parametrize("field", ["c", "g", "t", "s"])
async def test_damaged_entry_is_a_miss(site: Site, field: str) -> None:
    await site.put(site.one, "a")
    await site.put(site.one, "b")
    await site.redis.hdel(site.key(digest_of("a").hex()), field)
    assert not await site.has(site.other, "a")
    assert await site.has(site.other, "b")
    await site.redis.hset(site.key(digest_of("b").hex()), "g", pickle.dumps("foreign"))
    await site.other.purge("tenant:nobody")
    assert not await site.has(site.one, "b")


async def test_entry_that_is_in_no_index_is_a_miss(site: Site) -> None:
    await site.put(site.one)
    await site.redis.delete(site.key("index"))
    assert not await site.has(site.one)
    assert await site.put(site.one)
    assert await site.has(site.other)


async def test_lost_sizes_put_right(site: Site) -> None:
    small = site.process(site.line, max_bytes=5_000)
    for name in "abc":
        await site.put(small, name)
    await site.redis.delete(site.key("sizes"))
    for name in "defdef":
        await site.put(small, name)
    assert await site.has(small, "f")
    assert 0 < (await small.sizes()).bytes <= 5_000


async def test_bytes_that_are_not_those_of_the_entries_put_right(site: Site) -> None:
    small = site.process(site.line, max_bytes=5_000)
    await site.redis.hset(site.key("totals"), "bytes", 10**9)
    for _ in range(3):
        await site.put(small, "a")
    await site.redis.hset(site.key("totals"), "bytes", 10**9)
    for name in "bcb":
        await site.put(small, name)
    assert await site.has(small, "b")
    assert 0 < (await small.sizes()).bytes <= 5_000


# -- what is in the store


async def test_sums_are_those_of_what_is_there(site: Site) -> None:
    small, source = site.process(site.line, max_bytes=20_000), random.Random(3)
    for _ in range(100):
        await site.put(small, source.randrange(30))
        await small.remove(digest_of(source.randrange(30)))
        sizes = [int(size) for size in await site.redis.hvals(site.key("sizes"))]
        assert await site.redis.hget(site.key("totals"), "bytes") == b"%d" % sum(sizes)
        index = await site.redis.zrange(site.key("index"), 0, -1)
        assert {*index} == {*await site.redis.zrange(site.key("expiry"), 0, -1)}
        assert {*index} == {*await site.redis.hkeys(site.key("sizes"))}
        assert all([await site.redis.exists(site.key(digest.decode())) for digest in index])
    entry = await site.redis.memory_usage(site.key(index[0].decode()))
    assert entry < min(sizes)


async def let_expire(site: Site, names: Sequence[object]) -> None:
    """Their time is over, as far as the server is concerned."""
    digests = [digest_of(name).hex() for name in names]
    await site.redis.unlink(*map(site.key, digests))
    await site.redis.zadd(site.key("expiry"), dict.fromkeys(digests, 2))


async def test_entry_expires_by_itself(site: Site) -> None:
    await site.put(site.one, kept_s=0.05)

    async def is_over() -> bool:
        return await site.redis.exists(site.key(digest_of("a").hex())) == 0

    await until_answered(is_over)
    assert not await site.has(site.one)
    assert (await site.one.sizes()).entries == 0


async def test_answer_that_comes_while_the_one_before_is_found_over_stays(site: Site) -> None:
    await site.put(site.other)
    site.clock.advance(1_000_000)

    async def come() -> None:
        epochs = (await site.other.look(digest_of("b"), GROUPS)).epochs
        assert await site.other.put(kept_answer("a", at=site.clock.time()), GROUPS, epochs)

    site.line.then = come
    assert not await site.has(site.one)
    assert await site.has(site.one)


async def test_what_has_expired_is_swept_by_and_by_where_there_is_room(site: Site) -> None:
    for name in range(30):
        await site.put(site.one, name)
    await let_expire(site, range(30))
    assert (await site.one.sizes()).entries == 30
    for name, left in (("a", 11), ("b", 2)):
        await site.put(site.one, name)
        assert (await site.one.sizes()).entries == left


async def test_what_has_expired_goes_before_what_has_not(site: Site) -> None:
    await site.put(site.one, "a")
    one = (await site.one.sizes()).bytes
    small = site.process(site.line, max_bytes=30 * one + one // 2)
    for name in range(29):
        await site.put(small, name)
    await let_expire(site, range(29))
    large = kept_answer("b", random.Random(1).randbytes(24 * one).hex(), at=site.clock.time())
    epochs = (await small.look(large.digest, GROUPS)).epochs
    assert await small.put(large, GROUPS, epochs)
    sizes = await small.sizes()
    assert (sizes.entries < 10, sizes.bytes > 24 * one, sizes.evictions) == (True, True, 0)
    assert await site.has(small, "a")


# -- away and back


async def test_purge_and_the_like_say_that_the_store_is_away(site: Site) -> None:
    site.line.is_cut = True
    for work in (site.one.purge("all"), site.one.remove(digest_of("a")), site.one.sizes()):
        with pytest.raises(StoreUnavailable):
            await work


async def test_while_the_store_is_away_a_process_has_what_it_put_or_saw(site: Site) -> None:
    await site.put(site.one, "put")
    await site.put(site.other, "seen")
    await site.put(site.other, "never seen")
    assert await site.has(site.one, "seen")
    site.line.is_cut = True
    assert [await site.has(site.one, name) for name in ("put", "seen", "never seen")] == [True, True, False]
    assert await site.put(site.one, "meanwhile")
    assert await site.has(site.one, "meanwhile")


async def test_what_was_put_here_alone_goes_when_the_store_is_back(site: Site) -> None:
    await site.has(site.one)
    site.line.is_cut = True
    assert await site.put(site.one)
    site.line.is_cut = False
    assert not await site.has(site.one)
    site.line.is_cut = True
    assert not await site.has(site.one)


async def test_what_was_put_here_alone_gives_way_to_what_the_store_has(site: Site) -> None:
    site.line.is_cut = True
    assert await site.put(site.one, kept_s=500)
    await site.put(site.other, kept_s=700)
    site.line.is_cut = False
    answer = (await site.one.look(digest_of("a"), GROUPS)).answer
    assert answer is not None
    assert answer.kept_s == 700


async def test_answer_that_was_looked_up_in_the_store_is_kept_here_when_that_has_gone(site: Site) -> None:
    epochs = (await site.one.look(digest_of("a"), GROUPS)).epochs
    site.line.is_cut = True
    assert await site.one.put(kept_answer(at=site.clock.time()), GROUPS, epochs)
    assert await site.has(site.one)


async def test_purge_that_a_process_has_heard_of_holds_while_the_store_is_away(site: Site) -> None:
    await site.put(site.one)
    epochs = (await site.one.look(digest_of("b"), GROUPS)).epochs
    await site.other.purge("all", stored_before=site.clock.time() + 1)
    await site.one.look(digest_of("c"), GROUPS)
    site.line.is_cut = True
    assert not await site.has(site.one)
    assert not await site.one.put(kept_answer("b", at=site.clock.time()), GROUPS, epochs)


async def test_copy_that_the_store_still_has_after_a_purge_of_others_holds_while_it_is_away(site: Site) -> None:
    await site.put(site.one)
    await site.other.purge("tenant:nobody")
    assert await site.has(site.one)
    site.line.is_cut = True
    assert await site.has(site.one)


async def test_removal_that_a_process_has_heard_of_holds_while_the_store_is_away(site: Site) -> None:
    await site.put(site.one)
    await site.other.remove(digest_of("a"))
    await site.one.look(digest_of("c"), GROUPS)
    site.line.is_cut = True
    assert not await site.has(site.one)


async def test_look_up_in_another_memory_is_no_look_up_in_this_one(site: Site) -> None:
    epochs = (await site.one.look(digest_of("a"), GROUPS)).epochs
    site.line.life = "two"
    assert not await site.one.put(kept_answer(at=site.clock.time()), GROUPS, epochs)


async def test_copy_of_an_answer_in_another_memory_is_fetched_anew(site: Site) -> None:
    await site.put(site.one)
    site.line.life = "two"
    assert await site.has(site.one)
    assert site.line.answer[1] != b""


async def test_cache_is_used_again_when_a_killed_server_is_back(valkey: Server) -> None:
    failures: list[BaseException] = []
    clock = SystemClock()
    client = ValkeyClient(
        parse_store_url(valkey.url), prefix="llm:", clock=clock, source=random.Random(1),
        on_failure=lambda _, failure: failures.append(failure), deadline_s=0.5,
    )  # fmt: skip
    await client.start()
    here = MemoryCache(clock, max_bytes=1_000_000, max_entry_bytes=100_000)
    cache = ValkeyCache(
        client, prefix="llm:", clock=clock, max_bytes=1_000_000, max_entry_bytes=100_000, here=here
    )  # fmt: skip

    async def is_put(name: str) -> bool:
        epochs = (await cache.look(digest_of(name), GROUPS)).epochs
        return await cache.put(kept_answer(name, at=clock.time()), GROUPS, epochs)

    async def has(name: str) -> bool:
        return (await cache.look(digest_of(name), GROUPS)).answer is not None

    try:
        assert await is_put("before")
        valkey.kill()
        assert await has("before")
        assert await is_put("meanwhile")
        assert await has("meanwhile")
        valkey.restart()
        await until(lambda: client.state.up)
        assert [await has("before"), await has("meanwhile")] == [False, False]
        assert await is_put("after")
        assert await has("after")
        assert (await cache.sizes()).entries == 1
    finally:
        await client.aclose()
    assert not failures


async def test_callers_who_leave_at_any_moment_spoil_nothing(valkey: Server) -> None:
    runner, clock, source = await open_runner(valkey.url), SystemClock(), random.Random(11)
    caches = [
        ValkeyCache(
            runner, prefix="llm:", clock=clock, max_bytes=40_000, max_entry_bytes=100_000,
            here=MemoryCache(clock, max_bytes=20_000, max_entry_bytes=100_000),
        )
        for _ in range(2)
    ]  # fmt: skip
    hits = 0

    async def request(cache: ValkeyCache, name: int) -> None:
        nonlocal hits
        seen = await cache.look(digest_of(name), GROUPS)
        if seen.answer is not None:
            hits += 1
            assert seen.answer.pieces == kept_answer(name, f"{name}", at=0).pieces
        else:
            await cache.put(kept_answer(name, f"{name}", at=clock.time()), GROUPS, seen.epochs)

    for _ in range(60):
        tasks = [asyncio.create_task(request(source.choice(caches), source.randrange(30))) for _ in range(15)]
        await loop_turns(source.randrange(12))
        for task in source.sample(tasks, 5):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
    assert hits > 100
    assert (await caches[0].sizes()).bytes <= 40_000
    await caches[0].purge("all")
    assert (await caches[1].sizes()).bytes == 0
    await runner.aclose()
