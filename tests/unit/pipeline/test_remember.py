"""What is kept of an answer, and that whatever is left open at its end is closed."""

import asyncio
import gc
import warnings
from collections.abc import Sequence
from dataclasses import replace

import pytest

from llm_service.cache import CacheOptions
from llm_service.domain import CacheControl, Outcome, StreamCancelled
from llm_service.storage import CacheLook, MemoryCache
from tests.support.clock import ManualClock
from tests.support.row import FINISH, HELLO, NANO_USD, PAID, USAGE, WHOLE, World
from tests.support.slow_cache import SlowCache
from tests.support.waiting import loop_turns

TURNS = 30


async def kept_in(world: World) -> int:
    return (await world.cache.sizes()).entries


@pytest.mark.parametrize("stream", [False, True])
async def test_a_complete_answer_is_kept_with_what_it_cost(stream: bool) -> None:
    world = World()
    client = await world.answered(stream=stream)
    plan = client.exchange.plan
    assert plan is not None
    look = await _looked(world, plan.digest, plan.groups)
    assert look.answer is not None
    assert look.answer.pieces == ((HELLO, FINISH, USAGE) if stream else (WHOLE,))
    assert (look.answer.nano_usd, look.answer.cost_source) == (NANO_USD, "provider")
    assert (look.answer.fresh_s, look.answer.stored_at) == (plan.fresh_s, world.clock.time())
    assert client.record.cache_key == plan.digest[:16].hex()
    world.check_all_closed()


async def _looked(world: World, digest: bytes, groups: Sequence[str]) -> CacheLook:
    look = world.cache.look(digest, groups)
    return look if isinstance(look, CacheLook) else await look


@pytest.mark.parametrize(
    "outcome", [replace(PAID, status="aborted"), replace(PAID, late_error=StreamCancelled("late"))], ids=str
)
async def test_what_did_not_end_well_is_not_kept(outcome: Outcome) -> None:
    world = World()
    await world.ask()
    source = world.calls[0].begins()
    source.say(FINISH, kinds=("finish",))
    source.finish(outcome)
    await loop_turns(TURNS)
    assert await kept_in(world) == 0
    world.check_all_closed()


async def test_what_passes_the_cache_by_leaves_nothing_there() -> None:
    for world, control in (
        (World(), CacheControl(no_store=True)),
        (World(options=CacheOptions(enabled=False)), CacheControl()),
    ):
        client = await world.answered(control=control)
        assert client.has_all
        assert (client.record.cache, client.record.cache_key) == ("bypass", None)
        assert await kept_in(world) == 0
        world.check_all_closed()


async def test_a_purge_between_look_up_and_store_keeps_the_answer_out() -> None:
    world = World()
    client = await world.ask()
    assert await world.cache.purge("all") == 0
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert client.has_all
    assert await kept_in(world) == 0
    world.check_all_closed()


async def test_what_was_given_out_is_not_kept_again() -> None:
    world = World()
    await world.answered()
    world.clock.advance(100)
    hit = await world.answered()
    plan = hit.exchange.plan
    assert plan is not None
    answer = (await _looked(world, plan.digest, plan.groups)).answer
    assert answer is not None
    assert answer.stored_at == world.clock.time() - 100
    world.check_all_closed()


async def test_a_look_up_that_has_to_be_waited_for_begins_before_the_limits_are_asked() -> None:
    cache = SlowCache(ManualClock())
    world = World(cache=cache)
    await world.answered()
    hit = await world.answered()
    assert hit.record.cache == "hit"
    assert cache.looks == 2
    world.check_all_closed()


@pytest.mark.parametrize("turns", range(4))
async def test_a_look_up_whose_client_leaves_before_it_begins_is_ended_without_a_word(turns: int) -> None:
    world = World(cache=SlowCache(ManualClock()))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        asking = asyncio.ensure_future(world.ask(stream=False))
        await loop_turns(turns)
        for client in world.clients:
            client.task.cancel()
        await asking
        gc.collect()
    assert [str(one.message) for one in said] == []


async def test_the_next_one_finds_what_the_last_one_has_had_to_the_end() -> None:
    cache = SlowCache(ManualClock())
    world = World(cache=cache)
    cache.put_gate.clear()
    leader, follower = await world.ask(), await world.ask()
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert not leader.has_all
    assert not follower.has_all
    late = await world.ask()
    cache.put_gate.set()
    await loop_turns(TURNS)
    assert leader.has_all
    assert follower.has_all
    assert late.has_all
    assert len(world.calls) == 1
    world.check_all_closed()


@pytest.mark.parametrize("waits", [False, True])
async def test_a_store_that_fails_leaves_nothing_open(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    cache = SlowCache(clock) if waits else None
    world = World(cache=cache)

    def fails(self: MemoryCache, *given: object) -> bool:
        raise RuntimeError("a defect")

    monkeypatch.setattr(MemoryCache, "put", fails)
    leader, follower = await world.ask(), await world.ask()
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert leader.reader.ended
    assert follower.reader.ended
    assert (world.streams.flights, world.streams.running) == ({}, ())
    assert {type(defect) for defect in world.defects} == {RuntimeError}
    assert len(world.of("req_1", "settlement")) == len(world.of("req_2", "settlement")) == 1


async def test_the_stream_knows_its_cost_when_those_who_resumed_it_are_given_its_end() -> None:
    world = World()
    client = await world.ask()
    world.calls[0].begins()
    await loop_turns(TURNS)
    stream, generation = client.exchange.stream, client.exchange.generation
    assert stream is not None
    assert generation is not None
    generation.join()
    seen: list[int | None] = []

    class Resumed:
        def write(self, batch: object) -> None:
            """Only the end matters."""

        def end(self, outcome: Outcome) -> None:
            assert stream is not None
            seen.append(stream.nano_usd)

    generation.reply().attach(Resumed())
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert seen == [NANO_USD]
    world.check_all_closed()
