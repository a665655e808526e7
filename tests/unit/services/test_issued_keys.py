"""Issued keys at the door: found, known, refused, looked up within bounds, and never confused."""

import asyncio
import hmac
from collections import Counter
from dataclasses import replace

import pytest

from llm_service.domain import Caller, InvalidApiKey, LedgerUnavailable, Secret
from llm_service.services import HashKeys
from llm_service.services.issued_keys import ABSENT_S, AWAY_S, KEPT_ABSENT, LOOKUPS, WAITING
from llm_service.services.key_secret import new_secret
from tests.support.key_service import HASH_KEY, Process, World
from tests.support.waiting import until


def garbage(world: World) -> str:
    """A key that looks like one and that nobody has."""
    return new_secret(world.dice)[1].reveal()


async def test_an_issued_key_brings_its_caller(process: Process) -> None:
    issued = await process.issue(scopes=["inference", "read"])
    caller = await process.caller(issued)
    assert (caller.key_id, caller.scopes, caller.key) == (issued.key.id, {"inference", "read"}, issued.key)


async def test_a_key_that_was_presented_before_is_not_looked_up_again(world: World, process: Process) -> None:
    issued = await process.issue()
    await process.caller(issued)
    assert process.knows(issued)
    assert len(world.store.asked) == 1


@pytest.mark.parametrize("position", [5, 16, 18, -1])
async def test_a_key_that_differs_in_one_character_is_nobodys(process: Process, position: int) -> None:
    issued = await process.issue()
    await process.caller(issued)
    letters = [*issued.secret.reveal()]
    letters[position] = "a" if letters[position] != "a" else "b"
    assert isinstance(await process.refusal("".join(letters)), InvalidApiKey)


@pytest.mark.parametrize("change", [lambda key: key.upper(), lambda key: key + " ", lambda key: key + "a", str.title])
async def test_a_key_in_another_spelling_is_nobodys(process: Process, change: object) -> None:
    issued = await process.issue()
    await process.caller(issued)
    assert isinstance(await process.refusal(change(issued.secret.reveal())), InvalidApiKey)  # type: ignore[operator]


async def test_a_foreign_secret_behind_a_known_prefix_is_nobodys_and_asks_nobody(
    world: World, process: Process
) -> None:
    mine, other = await process.issue(), await process.issue()
    await process.caller(mine)
    await process.caller(other)
    mixed = mine.secret.reveal()[:18] + other.secret.reveal()[18:]
    assert isinstance(await process.refusal(mixed), InvalidApiKey)
    assert len(world.store.asked) == 2


@pytest.mark.parametrize("key", ["llms_", "llms_short", "llms_" + "a" * 12, "llms_" + "é" * 65, "llms_\udcff", "sk-x"])
async def test_what_has_not_the_form_of_a_key_is_not_looked_up(world: World, process: Process, key: str) -> None:
    assert isinstance(await process.refusal(key), InvalidApiKey)
    assert world.store.asked == []


# -- in constant time


async def test_known_unknown_and_absent_prefixes_cost_one_hash_and_one_comparison_each(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued, unknown = await process.issue(), garbage(world)
    await process.caller(issued)
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for presented in (issued.secret.reveal(), unknown, unknown, issued.secret.reveal()[:-1] + "a"):
        await process.refusal(presented)
    assert compared == [(32, 32)] * 4


async def test_what_is_stored_is_no_secret(world: World, process: Process) -> None:
    issued = await process.issue()
    whole = issued.secret.reveal()
    assert whole[18:] not in repr(world.store.secrets)
    (stored,) = world.store.secrets.values()
    assert stored.hash == hmac.new(HASH_KEY.reveal().encode(), whole.encode(), "sha256").hexdigest()


# -- the end of a key


async def test_a_key_ends_at_its_moment_and_says_so(world: World, process: Process) -> None:
    issued = await process.issue(expires_at="2026-11-23T01:00:00Z")
    await process.caller(issued)
    world.clock.advance(2599)
    assert process.knows(issued)
    world.clock.advance(1)
    refusal = await process.refusal(issued)
    assert isinstance(refusal, InvalidApiKey)
    assert "has expired, at 2026-11-23T01:00:00Z" in refusal.message


async def test_nobody_without_the_secret_learns_that_a_key_is_revoked_or_expired(
    world: World, process: Process
) -> None:
    revoked, expired = await process.issue(), await process.issue()
    await process.keys.revoke(revoked.key.id)
    await process.keys.expire(expired.key.id)
    for issued, said in ((revoked, "was revoked"), (expired, "has expired")):
        guess = issued.secret.reveal()[:18] + "a" * 52
        assert str(await process.refusal(guess)) == str(await process.refusal(garbage(world)))
        assert said in str(await process.refusal(issued))


async def test_a_hash_key_that_is_gone_is_told_to_the_operator_alone(world: World, process: Process) -> None:
    issued = await process.issue()
    world.hash_keys = HashKeys([Secret("another" * 8)])
    later = Process(world)
    assert str(await later.refusal(issued)) == str(await later.refusal(garbage(world)))
    (line,) = later.log.of("an api key was hashed with a hash key that is not configured")
    assert line["key_id"] == issued.key.id


async def test_a_secret_made_with_the_former_hash_key_still_opens(world: World, process: Process) -> None:
    issued = await process.issue()
    world.hash_keys = HashKeys([Secret("another" * 8), HASH_KEY])
    later = Process(world)
    assert (await later.caller(issued)).key_id == issued.key.id
    newer = await later.issue()
    assert world.store.secrets[newer.secret.reveal()[5:17]].hash_key == world.hash_keys.fingerprint


# -- within bounds


async def test_no_more_keys_are_kept_than_allowed_and_the_latest_are(world: World) -> None:
    process = Process(world, kept_keys=3)
    issued = [await process.issue() for _ in range(4)]
    for one in (*issued[:3], issued[0], issued[3]):
        await process.caller(one)
    assert [process.knows(one) for one in issued] == [True, False, True, True]
    assert len(process.issued._prefixes) == 3


async def test_a_garbage_key_is_looked_up_once_in_a_while_only(world: World, process: Process) -> None:
    unknown = garbage(world)
    for _ in range(5):
        assert isinstance(await process.refusal(unknown), InvalidApiKey)
    assert len(world.store.asked) == 1
    world.clock.advance(ABSENT_S)
    await process.refusal(unknown)
    assert len(world.store.asked) == 2


async def test_garbage_keys_fill_no_memory_and_drive_out_no_real_key(world: World) -> None:
    process = Process(world, kept_keys=2)
    issued = await process.issue()
    await process.caller(issued)
    for _ in range(KEPT_ABSENT + 50):
        await process.refusal(garbage(world))
    assert len(process.issued._absent) == KEPT_ABSENT
    assert process.knows(issued)


async def test_look_ups_are_bounded_and_so_is_the_queue_for_them(world: World, process: Process) -> None:
    world.store.gate = asyncio.Event()
    asking = [asyncio.ensure_future(process.refusal(garbage(world))) for _ in range(WAITING)]
    await until(lambda: world.store.waiting == LOOKUPS and process.issued._waiting == WAITING)
    refused = await process.refusal(garbage(world))
    assert isinstance(refused, LedgerUnavailable)
    assert refused.retry_after_s
    world.store.gate.set()
    assert {type(refusal) for refusal in await asyncio.gather(*asking)} == {InvalidApiKey}
    assert world.store.most_waiting == LOOKUPS
    assert process.issued._waiting == 0


async def test_look_ups_that_are_asked_for_before_the_first_begins_are_bounded_too(
    world: World, process: Process
) -> None:
    world.store.gate = asyncio.Event()
    found = [process.issued.find(garbage(world)) for _ in range(WAITING + 50)]
    asking = [asyncio.ensure_future(one) for one in found if not isinstance(one, Caller)]
    await until(lambda: world.store.waiting == LOOKUPS)
    assert process.issued._waiting == WAITING
    world.store.gate.set()
    refusals = Counter(type(one) for one in await asyncio.gather(*asking, return_exceptions=True))
    assert refusals == {InvalidApiKey: WAITING, LedgerUnavailable: 50}


async def test_requests_that_come_together_with_a_new_key_ask_at_most_a_handful_of_times(
    world: World, process: Process
) -> None:
    issued = await process.issue()
    callers = await asyncio.gather(*(process.caller(issued) for _ in range(100)))
    assert {caller.key_id for caller in callers} == {issued.key.id}
    assert len(world.store.asked) <= LOOKUPS


async def test_a_request_that_leaves_while_its_key_is_looked_up_takes_no_place_along(
    world: World, process: Process
) -> None:
    world.store.gate = asyncio.Event()
    leaving = asyncio.ensure_future(process.caller(garbage(world)))
    await until(lambda: world.store.waiting)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert process.issued._waiting == 0


# -- without the database


async def test_without_the_database_known_keys_go_on_and_others_may_come_again(world: World, process: Process) -> None:
    known, unknown = await process.issue(), await process.issue()
    await process.caller(known)
    world.store.away = True
    assert process.knows(known)
    for key in (unknown, garbage(world)):
        refusal = await process.refusal(key)
        assert isinstance(refusal, LedgerUnavailable)
        assert refusal.retryable


async def test_a_database_that_does_not_answer_is_left_alone_for_a_moment(world: World, process: Process) -> None:
    issued = await process.issue()
    world.store.away = True
    for _ in range(20):
        await process.refusal(issued)
    assert len(world.store.asked) == 1
    world.store.away = False
    world.clock.advance(AWAY_S)
    assert (await process.caller(issued)).key_id == issued.key.id


async def test_those_who_wait_while_the_database_goes_away_do_not_each_wait_for_it(
    world: World, process: Process
) -> None:
    world.store.gate = asyncio.Event()
    asking = [asyncio.ensure_future(process.refusal(garbage(world))) for _ in range(LOOKUPS + 40)]
    await until(lambda: world.store.waiting == LOOKUPS)
    world.store.away = True
    world.store.gate.set()
    assert {type(refusal) for refusal in await asyncio.gather(*asking)} == {LedgerUnavailable}
    assert len(world.store.asked) == LOOKUPS


# -- changes on the way


async def test_an_answer_that_a_change_has_overtaken_is_not_kept(world: World, process: Process) -> None:
    issued = await process.issue()
    world.store.gate = asyncio.Event()
    asking = asyncio.ensure_future(process.refusal(issued))
    await until(lambda: world.store.waiting)
    key = issued.key
    world.store.keys[key.id] = replace(key, revoked_at=world.clock.now(), version=2)
    process.issued.forget(key.id)
    world.store.gate.set()
    assert "revoked" in str(await asking)
    assert "revoked" in str(await process.refusal(issued))


async def test_an_answer_that_two_changes_have_overtaken_is_asked_for_anew(world: World, process: Process) -> None:
    issued = await process.issue()
    world.store.gate = asyncio.Event()
    asking = asyncio.ensure_future(process.caller(issued))
    for asked in (1, 2):
        await until(lambda: len(world.store.asked) == asked and world.store.waiting)  # noqa: B023 - awaited at once
        process.issued.forget(issued.key.id)
        gate, world.store.gate = world.store.gate, asyncio.Event()
        gate.set()
        await until(lambda: len(world.store.asked) > asked or asking.done())  # noqa: B023
    assert (await asking).key_id == issued.key.id
    world.store.gate = None
    assert not process.knows(issued)


async def test_a_hit_needs_no_event_loop(process: Process) -> None:
    issued = await process.issue()
    await process.caller(issued)
    assert isinstance(process.issued.find(issued.secret.reveal()), Caller)
