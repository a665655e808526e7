"""One suite, six doors: an answer is kept once for all of them, however often and through whichever it is asked for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from llm_service.api import ServerOptions
from llm_service.config import Settings
from llm_service.sandbox import Sandbox
from tests.support.doors import DOORS, STREAMING, Door, Options, chat
from tests.support.doors.asks import ASKS, OPENROUTER, PLAIN, REFERENCE, TOOLS, each_door, said
from tests.support.service import Running, running, simulated
from tests.support.shared_answers import calls, record_of, settings_for


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox)) as service:
        yield service


@pytest.fixture
async def caching(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox), cached=True) as service:
        yield service


# -- the cache


@each_door
async def test_what_one_door_has_answered_the_others_give_again_unpaid(caching: Running, door: Door) -> None:
    for other in DOORS:
        body = chat(OPENROUTER, sandbox="thinking+tokens-20", seed=DOORS.index(other))
        first, again = [await said(caching, one, body) for one in (door, other)]
        assert (first.cache, again.cache) == ("miss", "hit"), other.name
        assert again.choices == first.choices, other.name
        assert again.usage == first.usage, other.name
        assert (again.cost_usd, Decimal(first.cost_usd or 0) > 0) == ("0", True), other.name
        assert (again.provider, again.model) == (first.provider, first.model), other.name
        record = await record_of(caching, again.request_id or "")
        assert (record["cache"], record["surface"]) == ("hit", other.surface)
        assert Decimal(record["cost_usd"]) == 0


@each_door
async def test_every_form_of_an_answer_is_given_again(caching: Running, door: Door) -> None:
    for asked in ASKS.values():
        body = chat(OPENROUTER, **asked)
        first = await said(caching, STREAMING[0] if door is REFERENCE else REFERENCE, body)
        again = await said(caching, door, body)
        kept = first.cache == "miss" and first.finish_reason in ("stop", "tool_calls")
        assert again.cache == ("hit" if kept else first.cache), asked
        if kept:
            assert again.choices == first.choices, asked
            assert again.usage == first.usage, asked


async def test_the_same_at_once_through_all_doors_is_one_call(caching: Running, sandbox: Sandbox) -> None:
    body = chat(OPENROUTER, sandbox="tokens-30+slow-head-500ms")
    answers = await asyncio.gather(*(said(caching, door, body) for door in DOORS))
    assert Counter(told.cache for told in answers) == {"miss": 1, "coalesced": len(DOORS) - 1}
    assert all((told.choices, told.usage) == (answers[0].choices, answers[0].usage) for told in answers)
    assert Counter(told.cost_usd == "0" for told in answers) == {False: 1, True: len(DOORS) - 1}
    assert len(calls(sandbox)) == 1


@each_door
async def test_each_door_can_say_what_the_cache_may_do(caching: Running, sandbox: Sandbox, door: Door) -> None:
    asked = ("only-if-cached", "no-store", "only-if-cached", "max-age=60", None, "no-cache", "max-age=0", "no-store")
    answers = [
        await door.ask(caching.address, chat(OPENROUTER), options=Options(cache_control=control)) for control in asked
    ]
    missed = "only_if_cached_miss"
    assert [told.code or told.cache for told in answers] == [
        missed, "bypass", missed, "miss", "hit", "miss", "miss", "bypass",
    ]  # fmt: skip
    assert len(calls(sandbox)) == 5


# -- once, however often it is sent


@each_door
async def test_an_idempotency_key_is_one_through_all_doors(service: Running, sandbox: Sandbox, door: Door) -> None:
    options = Options(idempotency_key="order-4711")
    body = chat(OPENROUTER, sandbox="tokens-20", tools=TOOLS)
    first = await said(service, door, body, options)
    for other in DOORS:
        again = await said(service, other, body, options)
        assert again.cache == "replay", other.name
        assert again.choices == first.choices, other.name
        assert again.usage == first.usage, other.name
        assert Decimal(again.cost_usd or "0") == 0, other.name
        reused = await other.ask(service.address, {**body, "seed": 1}, options=options)
        assert reused.code == "idempotency_key_reused", other.name
    assert len(calls(sandbox)) == 1


async def test_an_idempotency_key_is_one_for_all_doors_at_once(service: Running, sandbox: Sandbox) -> None:
    options = Options(idempotency_key="order-4712")
    body = chat(OPENROUTER, sandbox="tokens-30+slow-head-500ms")
    answers = await asyncio.gather(*(said(service, door, body, options) for door in DOORS))
    assert Counter(told.cache for told in answers) == {"bypass": 1, "replay": len(DOORS) - 1}
    assert all((told.choices, told.usage) == (answers[0].choices, answers[0].usage) for told in answers)
    assert len(calls(sandbox)) == 1


# -- bounds


@each_door
async def test_an_upstream_that_says_nothing_is_a_time_out(sandbox: Sandbox, door: Door) -> None:
    providers = simulated(sandbox.address, first_chunk_s=0.1, idle_s=0.1, total_s=0.5)
    async with running(replace(settings_for(sandbox), providers=providers)) as service:
        told = await door.ask(service.address, chat(PLAIN, sandbox="stall-head"))
    assert told.failure is not None
    assert told.failure.kind == ("upstream_timeout", "timeout", "plain", True)


@each_door
async def test_a_request_may_be_only_so_large(sandbox: Sandbox, door: Door) -> None:
    settings: Settings = replace(settings_for(sandbox), server=ServerOptions(max_body_bytes=100_000))
    async with running(settings) as service:
        told = await door.ask(service.address, chat(PLAIN, metadata={"long": "x" * 200_000}))
        assert told.code == "request_too_large"
        assert (await door.ask(service.address, chat(PLAIN, metadata={"long": "x" * 50_000}))).failure is None
    assert len(calls(sandbox)) == 1
