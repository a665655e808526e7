"""The keys of an issuer: fetched in the background, for new ids at a bounded rate, and used on while it is away."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from llm_service.domain import IssuerUnavailable
from llm_service.runtime import Tasks
from llm_service.services import FreshKeys, KeyShelf
from llm_service.services.issuers.base import KeysAway, KeySet, Verdict
from llm_service.services.issuers.fresh_keys import APART_S, FRESH_S, RETRY_S, WAITING
from tests.support.clock import ManualClock
from tests.support.service import LogLines
from tests.support.waiting import loop_turns

MAX_STALE_S = 3600.0


class Named:
    """Keys that are known by their text."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def verdict(self, token: str, *, kid: str | None, algorithm: str) -> Verdict:
        return "signed"


class Source:
    def __init__(self) -> None:
        self.text = b"first"
        self.away: str | None = None
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> bytes:
        self.asked += 1
        await self.gate.wait()
        if self.away is not None:
            raise KeysAway(self.away)
        return self.text


def read(text: bytes) -> KeySet:
    if text == b"bad":
        raise ValueError("is no JSON")
    return Named(text)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.source = Source()
        self.shelf = KeyShelf()
        self.log = LogLines()
        self.tasks = Tasks(lambda _, failure: pytest.fail(repr(failure)))

    def keys(self) -> FreshKeys:
        return FreshKeys(
            self.source,
            name="sso",
            place="https://sso.example.com",
            max_stale_s=MAX_STALE_S,
            read=read,
            shelf=self.shelf,
            clock=self.clock,
            tasks=self.tasks,
            log=self.log,
        )

    async def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await loop_turns(10)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.tasks.aclose()


def text_of(keys: FreshKeys) -> bytes | None:
    current = keys.current
    return current.text if isinstance(current, Named) else None


async def test_nothing_is_known_before_the_first_answer(world: World) -> None:
    assert world.keys().current is None
    assert world.source.asked == 0


async def test_keys_are_fetched_at_the_start_and_every_five_minutes(world: World) -> None:
    keys = world.keys()
    keys.start()
    await loop_turns(10)
    assert (text_of(keys), world.source.asked) == (b"first", 1)
    world.source.text = b"second"
    await world.passes(FRESH_S - 1)
    assert text_of(keys) == b"first"
    await world.passes(1)
    assert (text_of(keys), world.source.asked) == (b"second", 2)
    assert world.log.of("an issuer has changed its keys")


async def test_keys_that_are_the_same_stay_the_same_object(world: World) -> None:
    keys = world.keys()
    await keys.renew()
    before = keys.current
    await world.passes(APART_S)
    await keys.renew()
    assert keys.current is before
    assert world.source.asked == 2


async def test_a_renewal_is_one_fetch_for_all_and_no_more_than_one_in_ten_seconds(world: World) -> None:
    keys = world.keys()
    world.source.gate.clear()
    waiting = [asyncio.ensure_future(keys.renew()) for _ in range(20)]
    await loop_turns(3)
    world.source.gate.set()
    await asyncio.gather(*waiting)
    await keys.renew()
    assert world.source.asked == 1
    await world.passes(APART_S)
    await keys.renew()
    assert world.source.asked == 2


async def test_who_leaves_takes_the_fetch_from_nobody(world: World) -> None:
    keys = world.keys()
    world.source.gate.clear()
    leaves, stays = asyncio.ensure_future(keys.renew()), asyncio.ensure_future(keys.renew())
    await loop_turns(3)
    leaves.cancel()
    await loop_turns(3)
    world.source.gate.set()
    await stays
    assert text_of(keys) == b"first"


async def test_no_more_than_so_many_wait(world: World) -> None:
    keys = world.keys()
    world.source.gate.clear()
    waiting = [asyncio.ensure_future(keys.renew()) for _ in range(WAITING)]
    await loop_turns(3)
    with pytest.raises(IssuerUnavailable):
        await keys.renew()
    world.source.gate.set()
    await asyncio.gather(*waiting)


async def test_while_the_issuer_is_away_the_last_keys_serve_for_a_bounded_time(world: World) -> None:
    keys = world.keys()
    keys.start()
    await loop_turns(10)
    world.source.away = "it answers with status 503"
    await world.passes(FRESH_S)
    for _ in range(int((MAX_STALE_S - FRESH_S) / RETRY_S)):
        await world.passes(RETRY_S)
    assert text_of(keys) == b"first"
    await world.passes(1)
    assert keys.current is None
    assert [line["cause"] for line in world.log.of("the keys of an issuer cannot be fetched")] == [world.source.away]
    world.source.away = None
    await world.passes(RETRY_S)
    assert text_of(keys) == b"first"
    assert world.log.of("the keys of an issuer are back")


@pytest.mark.parametrize("text", [b"bad"])
async def test_keys_that_make_no_sense_replace_none(world: World, text: bytes) -> None:
    keys = world.keys()
    await keys.renew()
    world.source.text = text
    await world.passes(APART_S)
    await keys.renew()
    assert text_of(keys) == b"first"
    assert [line["cause"] for line in world.log.of("the keys of an issuer cannot be fetched")] == [
        "what it says is no JSON"
    ]


async def test_other_settings_begin_with_the_keys_of_those_before(world: World) -> None:
    await world.keys().renew()
    world.source.away = "it is gone"
    later = world.keys()
    later.start()
    await loop_turns(10)
    assert (text_of(later), world.source.asked) == (b"first", 1)
    await world.passes(APART_S)
    assert world.source.asked == 2


async def test_a_key_that_was_taken_out_before_a_reload_is_gone_at_once_after_it(world: World) -> None:
    await world.keys().renew()
    await world.passes(APART_S)
    world.source.text = b"second"
    later = world.keys()
    later.start()
    await loop_turns(10)
    await world.passes(0)
    assert (text_of(later), world.source.asked) == (b"second", 2)
