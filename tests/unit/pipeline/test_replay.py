"""A request that comes again under its Idempotency-Key is answered once, and paid once."""

import asyncio
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from llm_service.cache import CacheOptions
from llm_service.domain import CacheControl, IdempotencyKeyReused, InvalidValue, LedgerUnavailable, UpstreamError
from llm_service.pipeline import replay
from llm_service.pipeline.letting_go import TIMES, TRY_S, LettingGo
from llm_service.pipeline.replay import (
    LOOK_S,
    MOST_LOOK_S,
    PROMISED_S,
    TRYING_S,
    fingerprint_of,
    tenant_of,
)
from llm_service.storage import ASIDE_BYTES, StoreUnavailable
from llm_service.streams import Streams
from tests.support.clock import ManualClock
from tests.support.memory_replays import MemoryReplays
from tests.support.row import HELLO, NANO_USD, WHOLE, World
from tests.support.waiting import loop_turns, until

TURNS = 30


class SlowReplays(MemoryReplays):
    """What is asked of it takes effect at once and is told when ``gate`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def begin(self, *given, **named):  # type: ignore[no-untyped-def]
        answer = await super().begin(*given, **named)
        await self.gate.wait()
        return answer


class SlowToKeep(MemoryReplays):
    """Keeps answers when ``gate`` is set; ``begun``: how often a key was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.begun = 0

    async def begin(self, *given, **named):  # type: ignore[no-untyped-def]
        self.begun += 1
        await asyncio.sleep(0)
        return await super().begin(*given, **named)

    async def keep(self, *given, **named):  # type: ignore[no-untyped-def]
        await self.gate.wait()
        return await super().keep(*given, **named)


class SilentReplays(MemoryReplays):
    """Takes keys in one of two ways, and does not say so before ``answer``."""

    def __init__(self, silent: str) -> None:
        super().__init__()
        self.answer = asyncio.get_running_loop().create_future()
        self._silent = silent

    async def begin(self, *given, **named):  # type: ignore[no-untyped-def]
        begun = await super().begin(*given, **named)
        if self._silent == "begin":
            await self.answer
        return begun

    async def take_over(self, *given, **named):  # type: ignore[no-untyped-def]
        taken = await super().take_over(*given, **named)
        if self._silent == "take_over":
            await self.answer
        return taken


async def let_go(world: World) -> None:
    """Keys of which nothing is known go."""
    for _ in range(TIMES):
        await passes(world, TRY_S)


async def passes(world: World, seconds: float = LOOK_S) -> None:
    """Those who look again and again do so once."""
    world.clock.advance(seconds)
    await loop_turns(TURNS)


async def held_elsewhere(world: World, *, holder: str) -> None:
    """Another process holds the key of a request like those of this test."""
    probe = await World().ask(key="k")
    await world.replays.begin(
        tenant_of(probe.exchange),
        "k",
        fingerprint=fingerprint_of(probe.exchange),
        request_id="req_elsewhere",
        holder=holder,
        now=world.clock.now(),
        expires_at=world.clock.now() + timedelta(seconds=PROMISED_S),
    )
    await probe.hang_up()


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("then", [False, True])
async def test_what_is_asked_again_gets_the_answer_of_before_unpaid(first: bool, then: bool) -> None:
    world = World()
    await world.answered(key="k", stream=first)
    again = await world.ask(key="k", stream=then)
    assert again.has_all
    assert (again.exchange.cache, len(world.calls)) == ("replay", 1)
    assert again.exchange.saved_nano_usd == NANO_USD
    assert [kind for kind, _ in world.told if kind.endswith("req_2")] == []
    world.check_all_closed()


async def test_the_answer_is_kept_before_the_last_byte_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    client = await world.ask(key="k")
    gate = asyncio.Event()
    keep = world.replays.keep

    async def slow(*given, **named):  # type: ignore[no-untyped-def]
        await gate.wait()
        return await keep(*given, **named)

    monkeypatch.setattr(world.replays, "keep", slow)
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert client.reader.seqs == [1]
    gate.set()
    await loop_turns(TURNS)
    assert client.has_all
    world.check_all_closed()


async def test_a_large_answer_is_packed_and_unpacked_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        def named(*given: Any, **by_name: Any) -> Any:
            threads.append(threading.current_thread().name)
            return work(*given, **by_name)

        return named

    monkeypatch.setattr(replay, "packed", noted(replay.packed))
    monkeypatch.setattr(replay, "unpacked", noted(replay.unpacked))
    world = World()
    await world.answered(key="small", stream=False)
    await world.ask(key="small", stream=False)
    assert set(threads) == {threading.current_thread().name}
    threads.clear()
    large = random.Random(1).randbytes(ASIDE_BYTES // 2).hex().encode()
    first = await world.ask(key="k", stream=False, text="Ho")
    world.calls[1].says_all(whole=WHOLE.replace(b"Hello", large))
    await until(lambda: first.has_all)
    again = await world.ask(key="k", stream=False, text="Ho")
    await until(lambda: again.has_all)
    assert again.whole == first.whole
    assert len(threads) == 2
    assert threading.current_thread().name not in threads
    world.check_all_closed()


async def test_another_request_under_the_same_key_is_refused() -> None:
    world = World()
    await world.answered(key="k", text="Hi")
    other = await world.ask(key="k", text="Ho")
    assert isinstance(other.error, IdempotencyKeyReused)
    assert len(world.calls) == 1
    world.check_all_closed()


async def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    world = World()
    client = await world.ask(key="k", more={"extra": nested})
    assert isinstance(client.error, InvalidValue)
    assert (world.calls, world.replays.held) == ([], {})
    world.check_all_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_twenty_at_once_make_one_call_and_one_record(stream: bool) -> None:
    world = World()
    clients = [await world.ask(key="k", stream=(number % 2 == 0) == stream) for number in range(20)]
    await passes(world)
    world.calls[0].says_all()
    await loop_turns(TURNS)
    await passes(world)
    assert all(client.has_all for client in clients)
    assert len(world.calls) == 1
    assert [kind for kind, _ in world.told] == ["intent req_1", "record req_1", "settlement req_1"]
    world.check_all_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_does_not_burn_the_key_and_who_waited_asks_anew(stream: bool) -> None:
    world = World()
    first, second = await world.ask(key="k", stream=stream), await world.ask(key="k", stream=stream)
    world.calls[0].fails(UpstreamError("no"))
    await loop_turns(TURNS)
    await passes(world)
    assert isinstance(first.error, UpstreamError)
    assert len(world.calls) == 2
    world.calls[1].says_all()
    await loop_turns(TURNS)
    assert second.has_all
    assert (second.record.nano_usd, second.exchange.cache) == (NANO_USD, "miss")
    world.check_all_closed()


async def test_the_request_that_holds_the_key_goes_on_when_its_client_leaves() -> None:
    world = World()
    client = await world.ask(key="k")
    await client.hang_up()
    world.calls[0].says_all()
    await loop_turns(TURNS)
    again = await world.ask(key="k")
    assert again.has_all
    assert len(world.calls) == 1
    world.check_all_closed()


async def test_who_leaves_while_it_waits_leaves_nothing() -> None:
    world = World()
    await world.ask(key="k")
    waiting = [await world.ask(key="k", stream=stream) for stream in (True, False)]
    for client in waiting:
        await client.hang_up()
    world.calls[0].says_all()
    await loop_turns(TURNS)
    world.check_all_closed()


async def test_an_answer_that_another_process_is_about_to_give_is_waited_for() -> None:
    world = World()
    world.alive.add("proc_2")
    await held_elsewhere(world, holder="proc_2")
    client = await world.ask(key="k")
    for _ in range(3):
        await passes(world)
    assert not client.task.done()
    assert await world.replays.give_up("key:key_1", "k", request_id="req_elsewhere")
    await passes(world, MOST_LOOK_S)
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert client.has_all
    world.check_all_closed()


async def test_a_process_of_which_nothing_can_be_known_is_waited_for() -> None:
    world = World()
    world.shared_is_away = True
    await held_elsewhere(world, holder="proc_2")
    client = await world.ask(key="k")
    await passes(world)
    assert (client.task.done(), world.calls) == (False, [])
    world.shared_is_away = False
    await passes(world, MOST_LOOK_S)
    assert len(world.calls) == 1
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert client.has_all
    world.check_all_closed()


async def test_who_waits_for_another_process_asks_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.alive.add("proc_2")
    await held_elsewhere(world, holder="proc_2")
    slept_s: list[float] = []
    sleep = world.clock.sleep

    async def noted(delay_s: float) -> None:
        slept_s.append(delay_s)
        await sleep(delay_s)

    monkeypatch.setattr(world.clock, "sleep", noted)
    client = await world.ask(key="k")
    for _ in range(4):
        await passes(world, MOST_LOOK_S)
    assert slept_s == [0.05, 0.1, 0.2, 0.25, 0.25]
    await client.hang_up()
    world.check_all_closed()


async def test_the_key_of_a_process_that_died_is_taken_over_once() -> None:
    world = World()
    await held_elsewhere(world, holder="proc_dead")
    clients = [await world.ask(key="k"), await world.ask(key="k")]
    assert len(world.calls) == 1
    world.calls[0].says_all()
    await loop_turns(TURNS)
    await passes(world)
    assert all(client.has_all for client in clients)
    assert [client.exchange.cache for client in clients] == ["miss", "replay"]
    world.check_all_closed()


async def test_a_key_that_could_not_be_let_go_is_free_for_the_next_try() -> None:
    world = World()
    await world.ask(key="k")
    world.replays.away = True
    world.calls[0].fails(UpstreamError("no"))
    await loop_turns(TURNS)
    world.replays.away = False
    again = await world.answered(key="k")
    assert again.has_all
    assert len(world.calls) == 2
    await passes(world, TRY_S)
    replayed = await world.ask(key="k")
    assert replayed.exchange.cache == "replay"
    world.check_all_closed()


async def test_a_key_that_could_not_be_let_go_is_let_go_when_the_database_is_back() -> None:
    world = World()
    await world.ask(key="k")
    world.replays.away = True
    world.calls[0].fails(UpstreamError("no"))
    await loop_turns(TURNS)
    world.replays.away = False
    await passes(world, TRY_S)
    assert world.replays.held == {}
    world.check_all_closed()


async def test_nobody_takes_over_from_a_request_that_is_just_being_told_that_it_has_the_key() -> None:
    replays = SlowReplays()
    world = World(replays=replays)
    first, second = await world.ask(key="k"), await world.ask(key="k")
    replays.gate.set()
    await loop_turns(TURNS)
    await passes(world)
    assert len(world.calls) == 1
    world.calls[0].says_all()
    await loop_turns(TURNS)
    await passes(world)
    assert first.has_all
    assert second.has_all
    world.check_all_closed()


async def test_after_a_reload_the_requests_of_before_still_hold_their_keys() -> None:
    replays = MemoryReplays()
    streams = Streams(ManualClock(), retention_s=300, total_bytes=1_000_000)
    old, new = World(replays=replays, streams=streams), World(replays=replays, streams=streams, first_id=100)
    first = await old.ask(key="k")
    second = await new.ask(key="k")
    old.calls[0].says_all()
    await loop_turns(TURNS)
    assert first.has_all
    assert second.has_all
    assert new.calls == []


@pytest.mark.parametrize("when", ["first", "again"])
async def test_without_a_database_nothing_is_begun(when: str) -> None:
    world = World()
    if when == "again":
        await world.answered(key="k")
    world.replays.away = True
    client = await world.ask(key="k")
    assert isinstance(client.error, LedgerUnavailable)
    assert len(world.calls) == (when == "again")
    world.replays.away = False
    await let_go(world)
    world.check_all_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_kept_when_the_database_is_back(stream: bool) -> None:
    world = World()
    client = await world.ask(key="k", stream=stream)
    world.replays.away = True
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert client.has_all
    await passes(world, TRY_S)
    world.replays.away = False
    meanwhile = [await world.ask(key="k", stream=one) for one in (True, False)]
    await passes(world, TRY_S)
    after = await world.ask(key="k")
    assert all(one.has_all and one.exchange.cache == "replay" for one in (*meanwhile, after))
    assert len(world.calls) == 1
    assert world.log.of("an answer is not kept") == []
    world.check_all_closed()


async def test_a_database_that_stays_away_is_told_nothing_more_and_the_log_says_so() -> None:
    world = World()
    client = await world.ask(key="k")
    world.replays.away = True
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert client.has_all
    for _ in range(int(TRYING_S / TRY_S)):
        await passes(world, TRY_S)
    assert [line["request_id"] for line in world.log.of("an answer is not kept")] == ["req_1"]
    world.replays.away = False
    await let_go(world)
    assert world.replays.held == {}  # other processes would wait for this one, which lives
    world.check_all_closed()


@pytest.mark.parametrize("how", ["its client leaves", "the database falls silent"])
@pytest.mark.parametrize("takes_over", [False, True])
async def test_a_key_is_let_go_where_nobody_knows_whether_it_was_taken(how: str, takes_over: bool) -> None:
    replays = SilentReplays("take_over" if takes_over else "begin")
    world = World(replays=replays)
    if takes_over:
        await held_elsewhere(world, holder="proc_dead")
    client = await world.ask(key="k")
    assert not client.task.done()
    if how == "its client leaves":
        client.task.cancel()
        await loop_turns(TURNS)
    else:
        replays.answer.set_exception(StoreUnavailable("silent"))
        await until(lambda: client.error is not None)
        assert isinstance(client.error, LedgerUnavailable)
    assert [held.holder for held in replays.held.values()] == ["proc_1"]
    await let_go(world)
    assert replays.held == {}
    world.check_all_closed()


async def test_what_is_to_be_let_go_is_remembered_while_the_database_is_away_and_no_longer_than_it_is_held() -> None:
    world = World()
    letting_go = LettingGo(world.replays, clock=world.clock, tasks=world.tasks)
    world.replays.away = True
    letting_go.owe("key:key_1", "a", request_id="req_a", within_s=10)
    letting_go.owe("key:key_1", "b", request_id="req_b", within_s=TRY_S)
    for _ in range(5):
        await passes(world, TRY_S)
    assert len(world.tasks) == 1
    world.clock.advance(10)
    await loop_turns(TURNS)
    assert len(world.tasks) == 0


async def test_a_key_is_held_as_long_as_a_request_may_last() -> None:
    world = World(promised_s=86_400)
    await world.ask(key="k")
    world.clock.advance(82_800)
    again = await world.ask(key="k")
    assert len(world.calls) == 1
    world.calls[0].says_all()
    await loop_turns(TURNS)
    await passes(world)
    assert again.has_all
    world.check_all_closed()


async def test_an_answer_whose_key_was_lost_is_told_in_the_log() -> None:
    world = World()
    await world.ask(key="k")
    world.replays.held.clear()
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert [line["request_id"] for line in world.log.of("an answer is not kept: its key was lost")] == ["req_1"]


async def test_who_does_not_want_what_is_about_to_be_kept_asks_now_and_then_until_it_is() -> None:
    replays = SlowToKeep()
    world = World(replays=replays, options=CacheOptions(ttl_s=10, stale_if_error_s=1_000))
    await world.answered()
    world.clock.advance(20)
    stale = await world.ask(key="k")
    world.calls[1].fails(UpstreamError("no"))
    await loop_turns(TURNS)
    newer = await world.ask(key="k", control=CacheControl(max_age_s=5))
    for _ in range(4):
        await passes(world)
    assert replays.begun <= 1 + 1 + 4
    replays.gate.set()
    await loop_turns(TURNS)
    await passes(world, MOST_LOOK_S)
    assert (stale.exchange.cache, newer.exchange.cache) == ("stale", "replay")
    assert stale.has_all
    assert newer.has_all
    world.check_all_closed()


async def test_an_answer_that_is_not_kept_when_its_service_ends_is_told_in_the_log() -> None:
    world = World()
    await world.ask(key="k")
    world.replays.away = True
    world.calls[0].says_all()
    await loop_turns(TURNS)
    await world.tasks.aclose()
    assert [line["request_id"] for line in world.log.of("an answer is not kept")] == ["req_1"]
    world.check_all_closed()


@pytest.mark.parametrize("away", [False, True])
async def test_an_answer_that_is_too_large_to_be_kept_is_given_once_and_never_paid_again(away: bool) -> None:
    world = World()
    client = await world.ask(key="k")
    world.replays.away = away
    world.calls[0].says_all(pieces=[HELLO.replace(b"Hello", b"x" * 60_000)] * 2)
    await loop_turns(TURNS)
    assert client.has_all
    world.replays.away = False
    await passes(world, TRY_S)
    for stream in (True, False):
        again = await world.ask(key="k", stream=stream)
        assert isinstance(again.error, IdempotencyKeyReused)
        assert "too large to be kept" in again.error.message
    other = await world.ask(key="k", text="Ho")
    assert isinstance(other.error, IdempotencyKeyReused)
    assert "another request" in other.error.message
    assert [line["request_id"] for line in world.log.of("an answer is too large to be kept")] == ["req_1"]
    assert len(world.calls) == 1
    world.check_all_closed()


async def test_an_answer_under_a_key_that_cannot_be_read_is_no_reason_to_pay_twice() -> None:
    world = World()
    await world.answered(key="k")
    (held,) = world.replays.held.values()
    held.answer = b"torn"
    client = await world.ask(key="k")
    assert isinstance(client.error, LedgerUnavailable)
    assert len(world.calls) == 1


async def test_a_key_is_free_when_its_time_is_over() -> None:
    world = World()
    await world.answered(key="k", text="Hi")
    world.clock.advance(601)
    other = await world.answered(key="k", text="Ho")
    assert other.has_all
    assert len(world.calls) == 2
    world.check_all_closed()


async def test_what_a_follower_was_given_is_kept_under_its_key_with_what_the_leader_paid() -> None:
    world = World()
    leader = await world.ask()
    follower = await world.ask(key="k")
    world.calls[0].says_all()
    await loop_turns(TURNS)
    await passes(world)
    assert leader.has_all
    assert follower.has_all
    again = await world.ask(key="k")
    assert (again.exchange.cache, again.exchange.saved_nano_usd) == ("replay", NANO_USD)
    assert len(world.calls) == 1
    world.check_all_closed()


async def test_the_answer_of_a_hit_is_kept_under_the_key_as_well() -> None:
    world = World()
    await world.answered()
    hit = await world.ask(key="k")
    assert hit.record.cache == "hit"
    await world.cache.purge("all")
    again = await world.ask(key="k")
    assert again.has_all
    assert (again.exchange.cache, len(world.calls)) == ("replay", 1)
    world.check_all_closed()
