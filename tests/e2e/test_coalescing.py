"""Identical requests in flight share one upstream call, over HTTP: nobody's leaving or failure harms the others."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.cache import CacheOptions
from llm_service.sandbox import Sandbox
from tests.support.rest import Answer, Connection, connected
from tests.support.service import Running, running
from tests.support.shared_answers import (
    CHAT,
    a_key,
    all_records,
    ask_chat,
    body_of,
    calls,
    error_in,
    events,
    facts,
    first_events,
    is_stream,
    record,
    said,
    settings_for,
)
from tests.support.waiting import until

PRICED = "openrouter/openai/gpt-4o-mini"
MANY = 60
SLOW = {"sandbox": "slow-head-300ms+tokens-30+pace-3ms"}
LONG = {"sandbox": "tokens-40+pace-10ms"}


@pytest.fixture
async def sharing(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox), cached=True) as service:
        yield service


async def called(sandbox: Sandbox, times: int = 1) -> None:
    """Wait until the upstream has been asked so often."""
    await until(lambda: len(calls(sandbox)) == times)


def asking(
    service: Running, count: int, *, streams: Sequence[bool] = (True, False), **asked: Any
) -> "asyncio.Future[list[Answer]]":
    """So many clients at once, streaming and not, each on a connection of its own."""
    forms = [streams[number % len(streams)] for number in range(count)]
    return asyncio.gather(*(ask_chat(service, PRICED, stream=stream, **asked) for stream in forms))


def agree(answers: Sequence[Answer]) -> None:
    """All of them are the same answer, streams event for event."""
    assert [error_in(one) for one in answers] == [None] * len(answers)
    assert len({repr(said(one)) for one in answers}) == 1
    assert len({repr(events(one.body)) for one in answers if is_stream(one)}) <= 1


def how(answers: Sequence[Answer]) -> Counter[str]:
    return Counter(one.headers["x-llm-cache"] for one in answers)


def sharers(service: Running) -> int:
    """How many requests wait for the one generation in flight, or read it."""
    return sum(one._holds + len(one._readings) for one in service.stores.streams.flights.values())


# -- one call


@pytest.mark.parametrize("streams", [(True, False), (False, True), (True,), (False,)])
async def test_many_at_once_are_answered_by_one_call_that_one_pays(
    sharing: Running, sandbox: Sandbox, streams: Sequence[bool]
) -> None:
    answers = await asking(sharing, MANY, streams=streams, **SLOW)
    agree(answers)
    assert len(calls(sandbox)) == 1
    assert how(answers) == {"miss": 1, "coalesced": MANY - 1}
    records = [await record(sharing, one) for one in answers]
    (paid,) = [one for one in records if one["cache"] == "miss"]
    free = [one for one in records if one is not paid]
    assert Decimal(paid["cost_usd"]) > 0
    assert {(one["cost_usd"], one["cost_source"], one["saved_usd"]) for one in free} == {
        ("0", "none", paid["cost_usd"])
    }
    assert {(one["attempts"], one["status"], one["output_tokens"]) for one in free} == {
        (0, "ok", paid["output_tokens"])
    }
    assert len(await all_records(sharing)) == MANY


@pytest.mark.parametrize("leader_streams", [True, False])
async def test_who_comes_in_the_middle_gets_all_of_it(sharing: Running, sandbox: Sandbox, leader_streams: bool) -> None:
    first = asking(sharing, 1, streams=[leader_streams], **SLOW)
    await called(sandbox)
    late: list[Answer] = []
    for _ in range(5):
        late += await asyncio.wait_for(asking(sharing, 2, **SLOW), 5)
    agree([*await first, *late])
    assert len(calls(sandbox)) == 1
    assert how(late)["coalesced"] >= 2


async def test_a_follower_says_so(sharing: Running, sandbox: Sandbox) -> None:
    first = asking(sharing, 1, streams=[True], **SLOW)
    await called(sandbox)
    streamed, whole = await asking(sharing, 2, **SLOW)
    for one in (streamed, whole):
        assert one.headers["cache-status"] == "llm-service; fwd=uri-miss; collapsed"
        assert "age" not in one.headers
        assert one.headers["x-request-id"] != (await first)[0].headers["x-request-id"]
    assert (whole.headers["x-llm-cost-usd"], whole.headers["x-llm-attempts"]) == ("0", "0")
    told = facts(streamed.body)
    assert (told["cache"], told["cost_usd"], told["attempts"]) == ("coalesced", "0", 0)
    assert told["stream_id"] == streamed.headers["x-llm-stream-id"]


# -- who leaves


async def leading(held: AsyncExitStack, service: Running, upstream: Sandbox, **asked: Any) -> Connection:
    """A client whose request has reached the upstream."""
    connection = await held.enter_async_context(connected(service.address))
    connection.send("POST", CHAT, body_of(PRICED, **asked))
    await called(upstream)
    return connection


@pytest.mark.parametrize("after", [0, 1, 7, 25])
async def test_the_leaders_client_may_leave_in_mid_stream(sharing: Running, sandbox: Sandbox, after: int) -> None:
    async with AsyncExitStack() as held:
        connection = await leading(held, sharing, sandbox, stream=True, **LONG)
        others = asking(sharing, 10, **LONG)
        await until(lambda: sharers(sharing) == 11)
        _, head = await connection.head()
        await first_events(connection.pieces(), after)
    answers = await others
    agree(answers)
    assert [entry["state"] for entry in calls(sandbox)] == ["completed"]
    records = await all_records(sharing)
    assert len(records) == 11
    (paid,) = [one for one in records if one["cost_usd"] != "0"]
    assert (paid["request_id"], paid["cache"], paid["status"]) == (head["x-request-id"], "miss", "ok")


@pytest.mark.parametrize("stream", [True, False])
async def test_the_leaders_client_may_leave_before_the_first_chunk(
    sharing: Running, sandbox: Sandbox, stream: bool
) -> None:
    async with AsyncExitStack() as held:
        await leading(held, sharing, sandbox, stream=stream, **SLOW)
        others = asking(sharing, 10, **SLOW)
        await until(lambda: sharers(sharing) == 11)
    agree(await others)
    assert [entry["state"] for entry in calls(sandbox)] == ["completed"]
    records = await all_records(sharing)
    assert Counter(one["cache"] for one in records) == {"miss": 1, "coalesced": 10}
    assert len([one for one in records if one["cost_usd"] != "0"]) == 1


@pytest.mark.parametrize("behaviour", ["stall-head", "tokens-400+pace-20ms"])
async def test_when_all_have_left_the_upstream_is_cancelled(sharing: Running, sandbox: Sandbox, behaviour: str) -> None:
    async with AsyncExitStack() as held:
        for number in range(6):
            connection = await held.enter_async_context(connected(sharing.address))
            connection.send("POST", CHAT, body_of(PRICED, stream=number % 2 == 0, sandbox=behaviour))
            if number == 0:
                await called(sandbox)
                if behaviour != "stall-head":
                    await connection.head()
        await until(lambda: sharers(sharing) == 6)
    left_at = time.monotonic()
    await until(lambda: calls(sandbox, "cancelled"))
    assert time.monotonic() - left_at < 1
    records = await all_records(sharing)
    assert Counter(one["status"] for one in records) == {"aborted": 6}
    assert len(calls(sandbox)) == 1


async def test_a_follower_that_leaves_harms_nobody(sharing: Running, sandbox: Sandbox) -> None:
    first = asking(sharing, 1, streams=[True], **LONG)
    await called(sandbox)
    async with connected(sharing.address) as leaving, connected(sharing.address) as whole:
        leaving.send("POST", CHAT, body_of(PRICED, stream=True, **LONG))
        whole.send("POST", CHAT, body_of(PRICED, **LONG))
        await leaving.head()
        await until(lambda: sharers(sharing) == 3)
        await first_events(leaving.pieces(), 3)
    agree([*await first, *await asking(sharing, 2, **LONG)])
    records = await all_records(sharing)
    assert Counter((one["cache"], one["status"]) for one in records)["coalesced", "aborted"] == 2
    assert {one["cost_usd"] for one in records if one["status"] == "aborted"} == {"0"}
    assert len(calls(sandbox)) == 1


async def test_a_follower_that_reads_nothing_harms_nobody(sharing: Running, sandbox: Sandbox) -> None:
    asked = {"sandbox": "bulk-4mb"}
    first = asking(sharing, 1, streams=[True], **asked)
    await called(sandbox)
    async with connected(sharing.address) as slow:
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        slow.send("POST", CHAT, body_of(PRICED, stream=True, **asked))
        (answer,) = await asyncio.wait_for(first, 10)
        assert error_in(answer) is None


# -- who fails


async def test_a_leader_that_fails_before_the_first_chunk_is_followed_by_another(
    sharing: Running, sandbox: Sandbox
) -> None:
    sandbox.script("slow-head-200ms+error-500", times=1)
    asked = {"sandbox": "slow-head-100ms"}
    async with AsyncExitStack() as held:
        connection = await leading(held, sharing, sandbox, stream=True, **asked)
        answers = await asking(sharing, 20, **asked)
        failed = await connection.answer()
    assert (failed.status, "x-llm-cache" in failed.headers) == (502, False)
    agree(answers)
    assert len(calls(sandbox)) == 2
    assert how(answers) == {"miss": 1, "coalesced": 19}
    records = await all_records(sharing)
    assert len([one for one in records if one["cost_usd"] != "0"]) == 1
    assert Counter(one["status"] for one in records) == {"ok": 20, "error": 1}


async def test_a_provider_that_is_down_is_not_asked_by_everybody(sharing: Running, sandbox: Sandbox) -> None:
    answers = await asking(sharing, MANY, sandbox="slow-head-200ms+error-500")
    assert {error_in(one) for one in answers} == {"upstream_error"}
    assert len(calls(sandbox)) == 2
    assert {one["cost_usd"] for one in await all_records(sharing)} == {"0"}


@pytest.mark.parametrize("behaviour", ["cut-after-5+pace-20ms", "error-mid-500+at-5+pace-20ms"])
async def test_a_leader_that_fails_later_fails_with_all(sharing: Running, sandbox: Sandbox, behaviour: str) -> None:
    first = asking(sharing, 1, streams=[True], sandbox=behaviour)
    await called(sandbox)
    others = await asking(sharing, 10, sandbox=behaviour)
    (leader,) = await first
    streamed = [one for one in others if is_stream(one)]
    assert len(streamed) == 5
    assert {error_in(one) for one in [leader, *others]} == {error_in(leader)} != {None}
    assert {repr(events(one.body)[:-1]) for one in streamed} == {repr(events(leader.body)[:-1])}
    assert len(events(leader.body)) > 3
    assert {one.status for one in others if one not in streamed} == {502}
    assert len(calls(sandbox)) == 1
    assert (await asking(sharing, 1, sandbox=behaviour))[0].headers["x-llm-cache"] == "miss"


# -- who shares with nobody


async def test_tenants_never_share_a_call(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox, guarded=True), cached=True) as service:
        keys = [await a_key(service) for _ in range(3)]
        answers = await asyncio.gather(*(ask_chat(service, PRICED, by=key, **SLOW) for key in keys for _ in range(4)))
    assert len(calls(sandbox)) == 3
    assert how(answers) == {"miss": 3, "coalesced": 9}
    for number in range(3):
        assert len({one.json()["id"] for one in answers[4 * number : 4 * number + 4]}) == 1


async def test_all_share_where_the_cache_is_for_all(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox, guarded=True, cache=CacheOptions(scope="global"))
    async with running(settings, cached=True) as service:
        keys = [await a_key(service) for _ in range(3)]
        answers = await asyncio.gather(*(ask_chat(service, PRICED, by=key, **SLOW) for key in keys))
    assert (len(calls(sandbox)), how(answers)) == (1, {"miss": 1, "coalesced": 2})


@pytest.mark.parametrize(
    ("by", "given"),
    [
        ({"X-LLM-Timeout-S": "5"}, "miss"),
        ({"Cache-Control": "no-cache"}, "miss"),
        ({"Cache-Control": "no-store"}, "bypass"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_some_do_not_join(
    sharing: Running, sandbox: Sandbox, by: dict[str, str], given: str, stream: bool
) -> None:
    first = asking(sharing, 1, streams=[True], **SLOW)
    await called(sandbox)
    answer = await ask_chat(sharing, PRICED, by=by, stream=stream, **SLOW)
    assert answer.headers["x-llm-cache"] == given
    agree([*await first])
    assert len(calls(sandbox)) == 2


@pytest.mark.parametrize("by", [{"X-LLM-Timeout-S": "5"}, {"Cache-Control": "no-store"}])
async def test_some_do_not_lead(sharing: Running, sandbox: Sandbox, by: dict[str, str]) -> None:
    first = asking(sharing, 1, streams=[True], by=by, **SLOW)
    await called(sandbox)
    assert how(await asking(sharing, 4, **SLOW)) == {"miss": 1, "coalesced": 3}
    await first
    assert len(calls(sandbox)) == 2


async def test_the_leaders_own_deadline_ends_nobody_else(sharing: Running, sandbox: Sandbox) -> None:
    first = asking(sharing, 1, streams=[True], by={"X-LLM-Timeout-S": "0.15"}, **SLOW)
    await called(sandbox)
    agree(await asking(sharing, 4, **SLOW))
    assert error_in((await first)[0]) == "deadline_exceeded"


# -- what limits have to say


@pytest.mark.parametrize(
    "limits",
    [
        LimitsOptions(per_provider={"openrouter": AllowanceOptions(concurrent_requests=1)}),
        LimitsOptions(per_provider={"openrouter": AllowanceOptions(requests_per_minute=1)}),
        LimitsOptions(per_key=AllowanceOptions(tokens_per_minute=1_000), max_output_tokens=900),
        LimitsOptions(per_key=AllowanceOptions(budget_usd=Decimal("0.001")), max_output_tokens=900),
    ],
    ids=["one call at once", "one call a minute", "tokens for one", "money for one"],
)
async def test_no_limit_refuses_what_another_s_call_answers(sandbox: Sandbox, limits: LimitsOptions) -> None:
    async with running(settings_for(sandbox, limits=limits), cached=True) as service:
        first = asking(service, 1, **SLOW)
        await called(sandbox)
        joined = await asking(service, 6, **SLOW)
        agree([*await first, *joined])
        again = await asking(service, 2, **SLOW)
    assert (how(joined), how(again)) == ({"coalesced": 6}, {"hit": 2})
    assert len(calls(sandbox)) == 1


async def test_a_place_is_taken_by_who_joins_too(sandbox: Sandbox) -> None:
    limits = LimitsOptions(per_key=AllowanceOptions(requests_per_minute=3))
    async with running(settings_for(sandbox, limits=limits), cached=True) as service:
        first = asking(service, 1, **SLOW)
        await called(sandbox)
        statuses = Counter(answer.status for answer in await asking(service, 4, **SLOW))
        await first
    assert statuses == {200: 2, 429: 2}


async def test_who_has_to_lead_after_all_claims_what_a_call_takes(sandbox: Sandbox) -> None:
    limits = LimitsOptions(per_provider={"openrouter": AllowanceOptions(requests_per_minute=1)})
    async with running(settings_for(sandbox, limits=limits), cached=True) as service:
        first = asking(service, 1, streams=[False], sandbox="slow-head-200ms+error-500")
        await called(sandbox)
        (joined,) = await asking(service, 1, streams=[False], sandbox="slow-head-200ms+error-500")
        await first
    assert (joined.status, joined.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert len(calls(sandbox)) == 1
