"""One upstream call for all who ask the same, and an answer that is there already is given again."""

import pytest

from llm_service.cache import CacheOptions
from llm_service.domain import (
    CacheControl,
    CacheStatus,
    LedgerUnavailable,
    OnlyIfCachedMiss,
    Outcome,
    Settlement,
    StreamCancelled,
    StreamInterrupted,
    UpstreamError,
)
from llm_service.prices import Meter
from tests.support.row import NANO_USD, World
from tests.support.waiting import loop_turns

TURNS = 30
NOTHING = Settlement(tokens=0, nano_usd=0, provider=False)
STALE = CacheOptions(ttl_s=60, stale_if_error_s=600)


def statuses(world: World) -> list[CacheStatus]:
    return [client.exchange.cache for client in world.clients]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("then", [False, True])
async def test_an_answer_that_is_there_is_given_again_in_either_form(first: bool, then: bool) -> None:
    world = World()
    made = await world.answered(stream=first)
    hit = await world.answered(stream=then)
    assert (made.has_all, hit.has_all, len(world.calls)) == (True, True, 1)
    assert statuses(world) == ["miss", "hit"]
    assert (hit.record.cache, hit.record.nano_usd, hit.record.saved_nano_usd) == ("hit", 0, NANO_USD)
    assert world.of("req_2", "settlement") == [NOTHING]
    assert world.of("req_2", "intent") == []
    world.check_all_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_given_again_is_not_metered(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world, metered = World(), list[bytes]()
    monkeypatch.setattr(Meter, "see", lambda _, raw: metered.append(raw))
    await world.answered(stream=stream)
    made = len(metered)
    hit = await world.answered(stream=stream)
    assert hit.record.cache == "hit"
    assert (bool(made), len(metered)) == (stream, made)
    world.check_all_closed()


async def test_what_is_asked_otherwise_is_another_request() -> None:
    world = World()
    await world.answered(text="Hi")
    await world.answered(text="Ho")
    assert statuses(world) == ["miss", "miss"]
    world.check_all_closed()


@pytest.mark.parametrize("first", [False, True])
async def test_requests_in_flight_share_one_call_whatever_form_they_want(first: bool) -> None:
    world = World()
    leader = await world.ask(stream=first)
    followers = [await world.ask(stream=stream) for stream in (True, False, True, False)]
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert len(world.calls) == 1
    assert leader.record.nano_usd == NANO_USD
    for follower in followers:
        assert follower.has_all
        assert (follower.record.cache, follower.record.nano_usd, follower.record.saved_nano_usd) == (
            "coalesced",
            0,
            NANO_USD,
        )
        assert (follower.record.attempts, follower.record.provider) == (0, None)
        assert world.of(follower.exchange.id, "settlement") == [NOTHING]
        assert world.of(follower.exchange.id, "intent") == []
    world.check_all_closed()


async def test_who_comes_when_the_answer_has_begun_has_all_of_it() -> None:
    world = World()
    await world.ask()
    world.calls[0].begins()
    await loop_turns(TURNS)
    late, whole = await world.ask(), await world.ask(stream=False)
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert late.reader.seqs == [1, 2, 3]
    assert whole.whole is not None
    assert b"Hello" in whole.whole
    assert (late.exchange.stream and late.exchange.stream.nano_usd) == 0
    world.check_all_closed()


async def test_no_follower_has_the_end_before_the_leader_s_record_is_closed() -> None:
    world = World()
    leader, follower = await world.ask(), await world.ask()
    world.calls[0].begins()
    await loop_turns(TURNS)
    leader.reader.pause()
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert follower.has_all
    kinds = [kind for kind, _ in world.told]
    assert kinds.index("record req_1") < kinds.index("record req_2")
    assert follower.record.saved_nano_usd == NANO_USD
    world.check_all_closed()


async def test_where_the_leader_fails_before_it_begins_a_follower_leads_anew_and_the_others_join_it() -> None:
    world = World()
    leader = await world.ask()
    followers = [await world.ask(stream=stream) for stream in (True, False, True)]
    world.calls[0].fails(UpstreamError("no"))
    await loop_turns(TURNS)
    assert isinstance(leader.error, UpstreamError)
    assert len(world.calls) == 2
    world.calls[1].says_all()
    await loop_turns(TURNS)
    assert all(follower.has_all for follower in followers)
    assert [follower.record.nano_usd for follower in followers] == [NANO_USD, 0, 0]
    assert [follower.record.cache for follower in followers] == ["miss", "coalesced", "coalesced"]
    world.check_all_closed()


async def test_after_two_failures_who_waited_for_both_fails_likewise_each_with_an_error_of_its_own() -> None:
    world = World()
    first, second = await world.ask(), await world.ask()
    waiting = [await world.ask(), await world.ask(stream=False)]
    for call in range(2):
        world.calls[call].fails(UpstreamError(f"no {call}"))
        await loop_turns(TURNS)
    assert len(world.calls) == 2
    errors = [client.error for client in (first, second, *waiting)]
    assert [str(error) for error in errors] == ["no 0", "no 1", "no 1", "no 1"]
    assert len({id(error) for error in errors}) == 4
    assert [client.record.cache for client in waiting] == ["miss", "miss"]
    world.check_all_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_leader_that_leaves_before_the_beginning_without_followers_is_cancelled(stream: bool) -> None:
    world = World()
    leader = await world.ask(stream=stream)
    await leader.hang_up()
    assert world.calls[0].cancelled
    assert (leader.record.status, world.streams.flights) == ("aborted", {})
    world.check_all_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_leader_that_leaves_before_the_beginning_fails_no_follower(stream: bool) -> None:
    world = World()
    leader = await world.ask(stream=stream)
    follower = await world.ask()
    await leader.hang_up()
    assert not world.calls[0].cancelled
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert follower.has_all
    assert (leader.record.nano_usd, follower.record.nano_usd) == (NANO_USD, 0)
    world.check_all_closed()


async def test_when_the_last_follower_of_a_leader_that_has_left_leaves_the_call_is_cancelled() -> None:
    world = World()
    leader, *followers = [await world.ask(), await world.ask(), await world.ask(stream=False)]
    await leader.hang_up()
    await followers[0].hang_up()
    assert not world.calls[0].cancelled
    await followers[1].hang_up()
    assert world.calls[0].cancelled
    assert [client.record.status for client in world.clients] == ["aborted"] * 3
    assert [client.record.nano_usd for client in followers] == [0, 0]
    world.check_all_closed()


async def test_a_leader_that_leaves_in_the_middle_pays_for_what_the_others_read() -> None:
    world = World()
    leader, follower, whole = await world.ask(), await world.ask(), await world.ask(stream=False)
    source = world.calls[0].begins()
    await loop_turns(TURNS)
    await leader.hang_up()
    assert not source.detached
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert follower.has_all
    assert whole.has_all
    assert (leader.record.nano_usd, leader.record.status) == (NANO_USD, "ok")
    world.check_all_closed()


async def test_when_all_have_left_in_the_middle_the_call_ends_and_nothing_is_kept() -> None:
    world = World()
    leader, follower = await world.ask(), await world.ask()
    source = world.calls[0].begins()
    await loop_turns(TURNS)
    await leader.hang_up()
    await follower.hang_up()
    assert source.detached
    assert [client.record.status for client in world.clients] == ["aborted", "aborted"]
    world.check_all_closed()
    await world.ask()
    assert len(world.calls) == 2
    assert statuses(world)[-1] == "miss"


async def test_a_stream_that_breaks_off_ends_for_all_after_what_was_said_and_is_not_kept() -> None:
    world = World()
    streams = [await world.ask(), await world.ask()]
    whole = await world.ask(stream=False)
    source = world.calls[0].begins()
    await loop_turns(TURNS)
    error = StreamInterrupted("It broke off.")
    source.say(error=error)
    source.finish(Outcome(status="error", error=error))
    await loop_turns(TURNS)
    for client in streams:
        assert client.reader.seqs == [1, 2]
        assert isinstance(client.reader.error, StreamInterrupted)
    assert isinstance(whole.error, StreamInterrupted)
    assert whole.error is not error
    world.check_all_closed()
    await world.ask()
    assert statuses(world)[-1] == "miss"


async def test_with_a_deadline_of_its_own_a_request_neither_leads_others_nor_joins() -> None:
    world = World()
    await world.ask(deadline_s=5)
    await world.ask()
    await world.ask(deadline_s=5)
    assert len(world.calls) == 3
    for call in world.calls:
        call.says_all()
    await loop_turns(TURNS)
    world.check_all_closed()


async def test_no_cache_makes_a_new_answer_and_keeps_it() -> None:
    world = World()
    await world.answered()
    await world.answered(control=CacheControl(no_cache=True))
    await world.answered()
    assert (statuses(world), len(world.calls)) == (["miss", "miss", "hit"], 2)
    world.check_all_closed()


async def test_no_cache_does_not_join_what_began_before() -> None:
    world = World()
    await world.ask()
    await world.ask(control=CacheControl(no_cache=True))
    assert len(world.calls) == 2
    for call in world.calls:
        call.says_all()
    await loop_turns(TURNS)
    world.check_all_closed()


@pytest.mark.parametrize("no_store", [False, True])
async def test_only_if_cached_calls_nobody(no_store: bool) -> None:
    world = World()
    missed = await world.ask(control=CacheControl(only_if_cached=True, no_store=no_store))
    assert isinstance(missed.error, OnlyIfCachedMiss)
    assert world.calls == []
    world.check_all_closed()


async def test_only_if_cached_takes_what_is_there() -> None:
    world = World()
    await world.answered()
    assert (await world.ask(control=CacheControl(only_if_cached=True))).has_all
    world.check_all_closed()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stale_answer_stands_in_for_a_failure_and_says_so(stream: bool) -> None:
    world = World(options=STALE)
    await world.answered()
    world.clock.advance(61)
    client = await world.ask(stream=stream)
    follower = await world.ask(stream=stream)
    world.calls[1].fails(UpstreamError("no"))
    await loop_turns(TURNS)
    assert client.has_all
    assert follower.has_all
    assert (client.record.cache, client.record.saved_nano_usd) == ("stale", NANO_USD)
    assert world.of("req_2", "settlement") == [Settlement(tokens=0, nano_usd=0, provider=True)]
    if client.exchange.stream is not None:
        assert client.exchange.stream.cache == "stale"
    world.check_all_closed()


async def test_an_answer_that_is_too_stale_does_not_hide_a_failure() -> None:
    world = World(options=STALE)
    await world.answered()
    world.clock.advance(661)
    client = await world.ask()
    world.calls[1].fails(UpstreamError("no"))
    await loop_turns(TURNS)
    assert isinstance(client.error, UpstreamError)
    world.check_all_closed()


async def test_a_stream_that_its_owner_cancels_goes_on_for_those_who_joined() -> None:
    world = World()
    leader, follower = await world.ask(), await world.ask()
    source = world.calls[0].begins()
    await loop_turns(TURNS)
    assert follower.exchange.stream is not None
    await follower.hang_up()
    follower.exchange.stream.cancel(StreamCancelled("enough"))
    assert not source.detached
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert leader.has_all
    world.check_all_closed()


async def test_a_follower_that_wants_it_finished_has_it_finished() -> None:
    world = World()
    leader, follower = await world.ask(), await world.ask(finish=True)
    source = world.calls[0].begins()
    await loop_turns(TURNS)
    await follower.hang_up()
    await leader.hang_up()
    assert not source.detached
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert leader.record.status == "ok"
    world.check_all_closed()


@pytest.mark.parametrize("begun", [False, True])
async def test_what_is_to_be_finished_goes_on_when_its_client_leaves_and_can_be_resumed(begun: bool) -> None:
    world = World()
    client = await world.ask(finish=True)
    if begun:
        world.calls[0].begins()
        await loop_turns(TURNS)
    await client.hang_up()
    assert [stream.id for stream in world.streams.running] == ["str_1"]
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert (client.record.status, client.record.nano_usd) == ("ok", NANO_USD)
    world.check_all_closed()
    kept = world.streams.find("str_1")
    assert kept is not None
    assert kept.nano_usd == NANO_USD
    assert kept.generation is not None
    assert kept.generation.last_seq == 3


async def test_a_shutdown_before_the_beginning_ends_the_answer_as_it_begins() -> None:
    world = World()
    client = await world.ask()
    world.streams.cancel_running(StreamCancelled("enough"))
    source = world.calls[0].begins()
    await loop_turns(TURNS)
    assert source.detached
    assert isinstance(client.reader.error, StreamCancelled)
    assert client.record.status == "aborted"
    world.check_all_closed()


async def test_where_the_leader_s_record_cannot_be_closed_nothing_stays_open() -> None:
    world = World()
    leader, follower, whole = await world.ask(), await world.ask(), await world.ask(stream=False)
    world.calls[0].begins()
    await loop_turns(TURNS)
    world.ledger_is_full = LedgerUnavailable("full")
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert isinstance(leader.reader.error, LedgerUnavailable)
    assert isinstance(follower.reader.error, LedgerUnavailable)
    assert isinstance(whole.error, LedgerUnavailable)
    assert (world.streams.flights, world.streams.running) == ({}, ())
    assert all(len(world.of(f"req_{number}", "settlement")) == 1 for number in (1, 2, 3))
