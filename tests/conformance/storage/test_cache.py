"""Every clause of the port CacheStore, on the cache of one process and on the one that processes share."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from inspect import isawaitable
from typing import TypeVar
from uuid import uuid4

import pytest

from llm_service.domain import KeptAnswer
from llm_service.storage import CacheLook, CacheStore, Eviction, MemoryCache, ScriptRunner, ValkeyCache
from tests.support.answers import GROUPS, digest_of, kept_answer
from tests.support.clock import ManualClock
from tests.support.direct_valkey import open_runner, valkey_socket

__all__ = ["valkey_socket"]

AMPLE = 10_000_000
ENTRY = 100_000
T = TypeVar("T")
Make = Callable[..., CacheStore]


async def said(result: T | Awaitable[T]) -> T:
    return await result if isawaitable(result) else result


async def look(cache: CacheStore, name: object = "a", groups: Sequence[str] = GROUPS) -> CacheLook:
    return await said(cache.look(digest_of(name), groups))


async def found(cache: CacheStore, *names: object) -> list[object]:
    """Which of these are there."""
    return [name for name in names if (await look(cache, name)).answer is not None]


async def put(cache: CacheStore, answer: KeptAnswer, groups: Sequence[str] = GROUPS) -> bool:
    """After a look-up, as it is done."""
    epochs = (await said(cache.look(answer.digest, groups))).epochs
    return await said(cache.put(answer, groups, epochs))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "valkey", "valkey without copies", "cluster"])
async def make(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[Make]:
    """Makes the cache; made again, it is that of another process (the same one where there is no other)."""
    made: list[CacheStore] = []
    if request.param == "memory":

        def memory(*, max_bytes: int = AMPLE, max_entry_bytes: int = ENTRY, eviction: Eviction = "lru") -> CacheStore:
            if not made:
                made.append(MemoryCache(clock, max_bytes=max_bytes, max_entry_bytes=max_entry_bytes, eviction=eviction))
            return made[0]

        yield memory
        return
    at_cluster = request.param == "cluster"
    address = request.getfixturevalue("valkey_cluster").url if at_cluster else request.getfixturevalue("valkey_socket")
    runner = await open_runner(address)
    copies = 0 if request.param == "valkey without copies" else AMPLE
    prefix = "llm:" if at_cluster else f"{uuid4().hex}:"

    def shared(*, max_bytes: int = AMPLE, max_entry_bytes: int = ENTRY, eviction: Eviction = "lru") -> CacheStore:
        return shared_cache(
            runner, clock, prefix=prefix, max_bytes=max_bytes, max_entry_bytes=max_entry_bytes, eviction=eviction,
            copies=copies,
        )  # fmt: skip

    yield shared
    await runner.aclose()


def shared_cache(
    runner: ScriptRunner,
    clock: ManualClock,
    *,
    prefix: str,
    max_bytes: int = AMPLE,
    max_entry_bytes: int = ENTRY,
    eviction: Eviction = "lru",
    copies: int = AMPLE,
) -> ValkeyCache:
    here = MemoryCache(clock, max_bytes=copies, max_entry_bytes=max_entry_bytes)
    return ValkeyCache(
        runner, prefix=prefix, clock=clock, max_bytes=max_bytes, max_entry_bytes=max_entry_bytes, here=here,
        eviction=eviction,
    )  # fmt: skip


@pytest.fixture
def cache(make: Make) -> CacheStore:
    return make()


async def size_of_one(make: Make, clock: ManualClock) -> int:
    """What one answer takes, by the cache's own count; the cache is empty again."""
    cache = make()
    assert await put(cache, kept_answer("one", at=clock.time()))
    size = (await cache.sizes()).bytes
    await cache.purge("all")
    return size


# -- answers


async def test_answer_is_found_as_it_was_put(cache: CacheStore, clock: ManualClock) -> None:
    assert (await look(cache)).answer is None
    answer = kept_answer(at=clock.time())
    assert await put(cache, answer)
    assert [(await look(cache)).answer for _ in range(3)] == [answer] * 3
    assert (await look(cache, "b")).answer is None


async def test_newer_answer_takes_the_place_of_an_older_one(cache: CacheStore, clock: ManualClock) -> None:
    assert await put(cache, kept_answer(at=clock.time()))
    newer = kept_answer(text="Hello again.", at=clock.time())
    assert await put(cache, newer)
    assert (await look(cache)).answer == newer
    assert (await cache.sizes()).entries == 1


async def test_answer_is_there_for_every_process(make: Make, clock: ManualClock) -> None:
    answer = kept_answer(at=clock.time())
    assert await put(make(), answer)
    assert (await look(make())).answer == answer


async def test_answer_is_found_stale_and_not_when_it_is_over(cache: CacheStore, clock: ManualClock) -> None:
    assert await put(cache, kept_answer(at=clock.time(), fresh_s=10, kept_s=20))
    clock.advance(19.9)
    assert await found(cache, "a") == ["a"]
    clock.advance(0.1)
    assert await found(cache, "a") == []


async def test_answer_that_is_over_is_not_kept(cache: CacheStore, clock: ManualClock) -> None:
    assert not await put(cache, kept_answer(at=clock.time() - 20, kept_s=20))
    assert (await cache.sizes()).entries == 0


async def test_large_answer_comes_back_whole(make: Make, clock: ManualClock) -> None:
    cache, noise = make(max_entry_bytes=500_000), random.Random(1).randbytes(400_000)
    answer = replace(kept_answer(at=clock.time()), form="whole", pieces=(noise,), kinds="")
    assert await put(cache, answer)
    assert (await look(cache)).answer == answer


async def test_removed_answer_is_gone_for_every_process(make: Make, clock: ManualClock) -> None:
    one, other = make(), make()
    await put(one, kept_answer(at=clock.time()))
    assert await found(other, "a") == ["a"]
    assert [await other.remove(digest_of("a")), await other.remove(digest_of("a"))] == [1, 0]
    assert await found(one, "a") == []
    assert (await one.sizes()).bytes == 0


# -- bounds


async def test_too_large_an_answer_is_refused_and_counted(make: Make, clock: ManualClock) -> None:
    cache = make(max_entry_bytes=2_000)
    assert not await put(cache, kept_answer(text="x" * 2_000, at=clock.time()))
    assert not await put(cache, kept_answer("b", text="x" * 2_000, at=clock.time()))
    assert await put(cache, kept_answer("c", at=clock.time()))
    sizes = await cache.sizes()
    assert (sizes.entries, sizes.too_large, sizes.evictions) == (1, 2, 0)


async def test_answer_larger_than_the_whole_cache_is_refused(make: Make, clock: ManualClock) -> None:
    cache = make(max_bytes=500)
    assert not await put(cache, kept_answer(at=clock.time()))
    assert (await cache.sizes()).too_large == 1


@pytest.mark.parametrize("eviction", ["lru", "lfu"])
async def test_bytes_are_bounded_whatever_is_put(make: Make, clock: ManualClock, eviction: Eviction) -> None:
    cache, source = make(max_bytes=30_000, max_entry_bytes=20_000, eviction=eviction), random.Random(7)
    for step in range(150):
        text = source.randbytes(source.choice((5, 500, 3_000, 9_000))).hex()
        stored = await put(cache, kept_answer(source.randrange(40), text, at=clock.time()))
        assert stored == (kept_answer(text=text, at=0).size <= 20_000), step
        sizes = await cache.sizes()
        assert 0 < sizes.bytes <= sizes.max_bytes == 30_000, step
        await found(cache, source.randrange(40))
    assert sizes.evictions > 50
    await cache.purge("all")
    assert ((await cache.sizes()).entries, (await cache.sizes()).bytes) == (0, 0)


async def test_what_was_not_used_for_longest_is_evicted(make: Make, clock: ManualClock) -> None:
    one = await size_of_one(make, clock)
    small = await bounded(make, clock, 3 * one + one // 2, "lru")
    for name in "abc":
        assert await put(small, kept_answer(name, at=clock.time()))
    assert await found(small, "a") == ["a"]
    await put(small, kept_answer("d", at=clock.time()))
    await put(small, kept_answer("e", at=clock.time()))
    assert await found(small, *"abcde") == ["a", "d", "e"]
    assert (await small.sizes()).evictions == 2


async def test_what_is_used_most_stays(make: Make, clock: ManualClock) -> None:
    one = await size_of_one(make, clock)
    small = await bounded(make, clock, 3 * one + one // 2, "lfu")
    for name, uses in (("a", 5), ("b", 0), ("c", 2)):
        assert await put(small, kept_answer(name, at=clock.time()))
        assert await found(small, *[name] * uses) == [name] * uses
    for name in range(2):
        await put(small, kept_answer(name, at=clock.time()))
    assert await found(small, *"abc", 0, 1) == ["a", "c", 1]


async def bounded(make: Make, clock: ManualClock, max_bytes: int, eviction: Eviction) -> CacheStore:
    """A cache that holds so much; in one process it is another one than before."""
    small = make(max_bytes=max_bytes, eviction=eviction)
    if isinstance(small, MemoryCache):
        return MemoryCache(clock, max_bytes=max_bytes, max_entry_bytes=ENTRY, eviction=eviction)
    return small


# -- purges


@pytest.mark.parametrize("group", GROUPS)
async def test_purge_takes_the_answers_of_a_group_alone(make: Make, clock: ManualClock, group: str) -> None:
    cache, other = make(), ("other", "model:slow", "tenant:bob")
    for name in range(3):
        await put(cache, kept_answer(name, at=clock.time()))
    await put(cache, kept_answer("b", at=clock.time()), other)
    assert await cache.purge(group) == 3
    assert await found(cache, 0, 1, 2) == []
    assert (await look(cache, "b", other)).answer is not None
    assert await cache.purge(group) == 0


async def test_purge_is_seen_by_the_next_look_up_of_another_process(make: Make, clock: ManualClock) -> None:
    one, other = make(), make()
    await put(one, kept_answer(at=clock.time()))
    assert await found(other, "a") == ["a"]
    assert await one.purge("tenant:ada") == 1
    assert await found(other, "a") == await found(one, "a") == []


async def test_answer_is_found_again_when_it_was_put_after_a_purge(make: Make, clock: ManualClock) -> None:
    one, other = make(), make()
    await put(one, kept_answer(at=clock.time()))
    await one.purge("all")
    assert await put(other, kept_answer(at=clock.time()))
    assert await found(one, "a") == ["a"]


@pytest.mark.parametrize("group", GROUPS)
async def test_answer_whose_look_up_came_before_a_purge_is_not_kept(make: Make, clock: ManualClock, group: str) -> None:
    one, other = make(), make()
    epochs = (await look(one)).epochs
    assert await other.purge(group) == 0
    assert not await said(one.put(kept_answer(at=clock.time()), GROUPS, epochs))
    assert await found(one, "a") == await found(other, "a") == []


async def stands_after(make: Make, purge: Callable[[CacheStore], Awaitable[int]]) -> set[bool]:
    """Whether what looked up before a purge may still be shared by who looks up after it, in either process."""
    one, other = make(), make()
    epochs = (await look(one)).epochs
    await purge(other)
    found = set()
    for cache in (one, other):
        await look(cache)
        found.add(await said(cache.stands(digest_of("a"), GROUPS, epochs)))
    return found


@pytest.mark.parametrize("group", GROUPS)
async def test_what_began_before_a_purge_of_it_is_not_shared_after_it(make: Make, group: str) -> None:
    assert await stands_after(make, lambda cache: cache.purge(group)) == {False}
    assert await stands_after(make, lambda cache: cache.remove(digest_of("a"))) == {False}


async def test_what_began_before_a_purge_of_others_is_shared_after_it(make: Make, clock: ManualClock) -> None:
    assert await stands_after(make, lambda cache: cache.purge("tenant:eve")) == {True}
    assert await stands_after(make, lambda cache: cache.purge("all", stored_before=clock.time())) == {True}
    assert await stands_after(make, lambda cache: cache.remove(digest_of("b"))) == {True}


async def test_answer_whose_look_up_came_before_its_removal_is_not_kept(make: Make, clock: ManualClock) -> None:
    one, other = make(), make()
    epochs = (await look(one)).epochs
    assert await other.remove(digest_of("a")) == 0
    assert not await said(one.put(kept_answer("a", at=clock.time()), GROUPS, epochs))
    assert await put(one, kept_answer("a", at=clock.time()))
    assert await found(other, "a") == ["a"]


async def test_purge_of_another_group_hinders_nobody(make: Make, clock: ManualClock) -> None:
    one, other = make(), make()
    epochs = (await look(one)).epochs
    await other.purge("tenant:bob")
    assert await said(one.put(kept_answer(at=clock.time()), GROUPS, epochs))
    await other.purge("tenant:eve")
    assert await found(one, "a") == await found(other, "a") == ["a"]


async def test_answer_is_purged_by_a_group_that_its_reader_does_not_ask_for(make: Make, clock: ManualClock) -> None:
    cache = make()
    await put(cache, kept_answer(at=clock.time()), (*GROUPS, "tag:team=search"))
    assert await found(cache, "a") == ["a"]
    assert await make().purge("tag:team=search") == 1
    assert await found(cache, "a") == []


async def test_purge_of_older_ones_leaves_the_newer(make: Make, clock: ManualClock) -> None:
    cache, began = make(), clock.time()
    epochs = (await look(cache)).epochs
    for name in range(4):
        await put(cache, kept_answer(name, at=clock.time()))
        clock.advance(10)
    assert await make().purge("all", stored_before=began + 20) == 2
    assert await found(cache, *range(4)) == [2, 3]
    assert await said(cache.put(kept_answer("late", at=clock.time()), GROUPS, epochs))
    assert await cache.purge("tenant:bob", stored_before=clock.time() + 1) == 0


async def test_purge_takes_more_answers_than_one_piece_holds(make: Make, clock: ManualClock) -> None:
    cache = make()
    epochs = (await look(cache)).epochs
    for name in range(1_500):
        assert await said(cache.put(kept_answer(name, at=clock.time()), GROUPS, epochs))
    assert (await cache.sizes()).entries == 1_500
    assert await cache.purge("model:fast") == 1_500
    assert ((await cache.sizes()).entries, (await cache.sizes()).bytes) == (0, 0)


async def test_forgotten_purges_revive_nothing(make: Make, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("memory_cache", "valkey_cache"):
        monkeypatch.setattr(f"llm_service.storage.{module}.REMEMBERED", 10)
    one, other = make(), make()
    early = (await look(one)).epochs
    await other.purge("tenant:ada")
    for number in range(30):
        await other.purge(f"tenant:{number}")
    assert not await said(one.put(kept_answer(at=clock.time()), GROUPS, early))
    assert await put(one, kept_answer(at=clock.time()))
    assert await found(other, "a") == ["a"]


@pytest.mark.parametrize("seed", range(4))
async def test_two_processes_never_find_what_a_plain_model_does_not_have(
    make: Make, clock: ManualClock, seed: int
) -> None:
    """Ample room: each look-up finds exactly what was put under it last and not purged or removed since."""
    source, caches = random.Random(seed), (make(), make())
    kinds = [("all", f"model:{model}", f"tenant:{tenant}") for model in range(2) for tenant in range(3)]
    groups_of = {name: source.choice(kinds) for name in range(12)}
    model: dict[int, KeptAnswer] = {}
    began: list[tuple[CacheStore, int, tuple[int, ...], set[object]]] = []  # generations, with what was purged since
    for step in range(250):
        cache, name = source.choice(caches), source.randrange(12)
        match source.random():
            case chance if chance < 0.5:
                seen = await look(cache, name, groups_of[name])
                assert seen.answer == model.get(name), step
                began.append((cache, name, seen.epochs, set()))
            case chance if chance < 0.85 and began:
                cache, name, epochs, purged = began.pop(source.randrange(len(began)))
                answer = kept_answer(name, f"{step}", at=clock.time())
                groups = groups_of[name]
                stands = purged.isdisjoint((name, *groups))
                assert await said(cache.put(answer, groups, epochs)) == stands, step
                if stands:
                    model[name] = answer
            case chance if chance < 0.93:
                group = source.choice(source.choice(kinds))
                gone = [name for name in model if group in groups_of[name]]
                assert await cache.purge(group) == len(gone), step
                for name in gone:
                    del model[name]
                for *_, purged in began:
                    purged.add(group)
            case _:
                assert await cache.remove(digest_of(name)) == int(model.pop(name, None) is not None), step
                for *_, purged in began:
                    purged.add(name)
    assert (await caches[0].sizes()).entries == len(model)
