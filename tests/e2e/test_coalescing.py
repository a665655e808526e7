"""Identical requests in flight share one upstream call, over HTTP: nobody's leaving or failure harms the others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal

import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.cache import CacheOptions
from llm_service.sandbox import Sandbox
from tests.support.clock import StoppableClock
from tests.support.rest import Answer, connected
from tests.support.service import Running, running
from tests.support.shared_answers import (
    CHAT,
    PATIENCE_S,
    PRICED,
    a_key,
    all_records,
    ask_chat,
    asking,
    body_of,
    called,
    calls,
    error_in,
    events,
    facts,
    first_events,
    is_stream,
    leading,
    record,
    said,
    settings_for,
    shared_by,
)
from tests.support.waiting import until

MANY = 60
SLOW = {"sandbox": "slow-head-50ms+tokens-30+pace-3ms"}
LONG = {"sandbox": "tokens-40+pace-10ms"}


@pytest.fixture
async def sharing(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox), cached=True) as service:
        yield service


def agree(answers: Sequence[Answer]) -> None:
    """All of them are the same answer, streams event for event."""
    assert [error_in(one) for one in answers] == [None] * len(answers)
    assert len({repr(said(one)) for one in answers}) == 1
    assert len({repr(events(one.body)) for one in answers if is_stream(one)}) <= 1


def how(answers: Sequence[Answer]) -> Counter[str]:
    return Counter(one.headers["x-llm-cache"] for one in answers)


# -- one call


@pytest.mark.parametrize("streams", [(True, False), (False, True), (True,), (False,)])
async def test_many_at_once_are_answered_by_one_call_that_one_pays(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock, streams: Sequence[bool]
) -> None:
    upstream_clock.stop()
    all_of_them = asking(sharing, MANY, streams=streams, **SLOW)
    await shared_by(sharing, MANY)
    upstream_clock.go_on()
    answers = await all_of_them
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
async def test_who_comes_in_the_middle_gets_all_of_it(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock, leader_streams: bool
) -> None:
    upstream_clock.stop()
    first = asking(sharing, 1, streams=[leader_streams], **SLOW)
    await called(sandbox)
    middle = []
    for sent in (0, 1, 5, 10, 20) if leader_streams else (0,):
        upstream_clock.go_on()
        await until(lambda: calls(sandbox)[0]["chunks"] >= sent, within_s=PATIENCE_S)  # noqa: B023 - called here
        upstream_clock.stop()
        middle.append(asking(sharing, 2, **SLOW))
        await shared_by(sharing, 1 + 2 * len(middle))
    upstream_clock.go_on()
    late = [answer for two in middle for answer in await two]
    after = await asking(sharing, 2, **SLOW)
    agree([*await first, *late, *after])
    assert len(calls(sandbox)) == 1
    assert (how(late), how(after)) == ({"coalesced": len(late)}, {"hit": 2})


async def test_a_follower_says_so(sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock) -> None:
    upstream_clock.stop()
    first = asking(sharing, 1, streams=[True], **SLOW)
    await called(sandbox)
    followers = asking(sharing, 2, **SLOW)
    await shared_by(sharing, 3)
    upstream_clock.go_on()
    streamed, whole = await followers
    for one in (streamed, whole):
        assert one.headers["cache-status"] == "llm-service; fwd=uri-miss; collapsed"
        assert "age" not in one.headers
        assert one.headers["x-request-id"] != (await first)[0].headers["x-request-id"]
    assert (whole.headers["x-llm-cost-usd"], whole.headers["x-llm-attempts"]) == ("0", "0")
    told = facts(streamed.body)
    assert (told["cache"], told["cost_usd"], told["attempts"]) == ("coalesced", "0", 0)
    assert told["stream_id"] == streamed.headers["x-llm-stream-id"]


# -- who leaves


@pytest.mark.parametrize("after", [0, 1, 7, 25])
async def test_the_leaders_client_may_leave_in_mid_stream(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock, after: int
) -> None:
    upstream_clock.stop()
    async with leading(sharing, sandbox, stream=True, **LONG) as connection:
        others = asking(sharing, 10, **LONG)
        await shared_by(sharing, 11)
        upstream_clock.go_on()
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
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock, stream: bool
) -> None:
    upstream_clock.stop()
    async with leading(sharing, sandbox, stream=stream, **SLOW):
        others = asking(sharing, 10, **SLOW)
        await shared_by(sharing, 11)
    upstream_clock.go_on()
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
        await shared_by(sharing, 6)
    (left,) = calls(sandbox)
    await until(lambda: calls(sandbox, "cancelled"), within_s=PATIENCE_S)
    (cancelled,) = calls(sandbox)
    assert cancelled["chunks"] - left["chunks"] < 50  # a second, as the upstream counts it
    records = await all_records(sharing)
    assert Counter(one["status"] for one in records) == {"aborted": 6}
    assert len(calls(sandbox)) == 1


async def test_a_follower_that_leaves_harms_nobody(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock
) -> None:
    upstream_clock.stop()
    first = asking(sharing, 1, streams=[True], **LONG)
    await called(sandbox)
    async with connected(sharing.address) as leaving, connected(sharing.address) as whole:
        leaving.send("POST", CHAT, body_of(PRICED, stream=True, **LONG))
        whole.send("POST", CHAT, body_of(PRICED, **LONG))
        await shared_by(sharing, 3)
        upstream_clock.go_on()
        await leaving.head()
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
        (answer,) = await asyncio.wait_for(first, PATIENCE_S)
        assert error_in(answer) is None


# -- who fails


async def test_a_leader_that_fails_before_the_first_chunk_is_followed_by_another(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock
) -> None:
    sandbox.script("slow-head-50ms+error-500", times=1)
    asked = {"sandbox": "slow-head-100ms"}
    upstream_clock.stop()
    async with leading(sharing, sandbox, stream=True, **asked) as connection:
        others = asking(sharing, 20, **asked)
        await shared_by(sharing, 21)
        upstream_clock.go_on()
        answers = await others
        failed = await connection.answer()
    assert (failed.status, "x-llm-cache" in failed.headers) == (502, False)
    agree(answers)
    assert len(calls(sandbox)) == 2
    assert how(answers) == {"miss": 1, "coalesced": 19}
    records = await all_records(sharing)
    assert len([one for one in records if one["cost_usd"] != "0"]) == 1
    assert Counter(one["status"] for one in records) == {"ok": 20, "error": 1}


async def test_a_provider_that_is_down_is_not_asked_by_everybody(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock
) -> None:
    upstream_clock.stop()
    all_of_them = asking(sharing, MANY, sandbox="slow-head-100ms+error-500")
    await shared_by(sharing, MANY)
    upstream_clock.go_on()
    answers = await all_of_them
    assert {error_in(one) for one in answers} == {"upstream_error"}
    assert len(calls(sandbox)) == 2
    assert {one["cost_usd"] for one in await all_records(sharing)} == {"0"}


@pytest.mark.parametrize("behaviour", ["cut-after-5+pace-20ms", "error-mid-500+at-5+pace-20ms"])
async def test_a_leader_that_fails_later_fails_with_all(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock, behaviour: str
) -> None:
    upstream_clock.stop()
    first = asking(sharing, 1, streams=[True], sandbox=behaviour)
    await called(sandbox)
    followers = asking(sharing, 10, sandbox=behaviour)
    await shared_by(sharing, 11)
    upstream_clock.go_on()
    (leader,), others = await first, await followers
    streamed = [one for one in others if is_stream(one)]
    assert len(streamed) == 5
    assert {error_in(one) for one in [leader, *others]} == {error_in(leader)} != {None}
    assert {repr(events(one.body)[:-1]) for one in streamed} == {repr(events(leader.body)[:-1])}
    assert len(events(leader.body)) > 3
    assert {one.status for one in others if one not in streamed} == {502}
    assert len(calls(sandbox)) == 1
    assert (await asking(sharing, 1, sandbox=behaviour))[0].headers["x-llm-cache"] == "miss"


# -- who shares with nobody


async def test_tenants_never_share_a_call(sandbox: Sandbox, upstream_clock: StoppableClock) -> None:
    async with running(settings_for(sandbox, guarded=True), cached=True) as service:
        keys = [await a_key(service) for _ in range(3)]
        upstream_clock.stop()
        all_of_them = asyncio.gather(*(ask_chat(service, PRICED, by=key, **SLOW) for key in keys for _ in range(4)))
        await shared_by(service, 12)
        upstream_clock.go_on()
        answers = await all_of_them
    assert len(calls(sandbox)) == 3
    assert how(answers) == {"miss": 3, "coalesced": 9}
    for number in range(3):
        assert len({one.json()["id"] for one in answers[4 * number : 4 * number + 4]}) == 1


async def test_all_share_where_the_cache_is_for_all(sandbox: Sandbox, upstream_clock: StoppableClock) -> None:
    settings = settings_for(sandbox, guarded=True, cache=CacheOptions(scope="global"))
    async with running(settings, cached=True) as service:
        keys = [await a_key(service) for _ in range(3)]
        upstream_clock.stop()
        all_of_them = asyncio.gather(*(ask_chat(service, PRICED, by=key, **SLOW) for key in keys))
        await shared_by(service, 3)
        upstream_clock.go_on()
        answers = await all_of_them
    assert (len(calls(sandbox)), how(answers)) == (1, {"miss": 1, "coalesced": 2})


@pytest.mark.parametrize(
    ("by", "given"),
    [
        ({"X-LLM-Timeout-S": "60"}, "miss"),
        ({"Cache-Control": "no-cache"}, "miss"),
        ({"Cache-Control": "no-store"}, "bypass"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_some_do_not_join(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock, by: dict[str, str], given: str, stream: bool
) -> None:
    upstream_clock.stop()
    first = asking(sharing, 1, streams=[True], **SLOW)
    await called(sandbox)
    alone = asking(sharing, 1, streams=[stream], by=by, **SLOW)
    await called(sandbox, 2)
    upstream_clock.go_on()
    (answer,) = await alone
    assert answer.headers["x-llm-cache"] == given
    agree([*await first])
    assert len(calls(sandbox)) == 2


@pytest.mark.parametrize("by", [{"X-LLM-Timeout-S": "60"}, {"Cache-Control": "no-store"}])
async def test_some_do_not_lead(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock, by: dict[str, str]
) -> None:
    upstream_clock.stop()
    first = asking(sharing, 1, streams=[True], by=by, **SLOW)
    await called(sandbox)
    others = asking(sharing, 4, **SLOW)
    await shared_by(sharing, 4)
    upstream_clock.go_on()
    assert how(await others) == {"miss": 1, "coalesced": 3}
    await first
    assert len(calls(sandbox)) == 2


async def test_the_leaders_own_deadline_ends_nobody_else(
    sharing: Running, sandbox: Sandbox, upstream_clock: StoppableClock
) -> None:
    upstream_clock.stop()
    first = asking(sharing, 1, streams=[True], by={"X-LLM-Timeout-S": "0.5"}, **SLOW)
    await called(sandbox)
    others = asking(sharing, 4, **SLOW)
    await shared_by(sharing, 4)
    assert error_in((await first)[0]) == "deadline_exceeded"
    upstream_clock.go_on()
    agree(await others)


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
async def test_no_limit_refuses_what_another_s_call_answers(
    sandbox: Sandbox, upstream_clock: StoppableClock, limits: LimitsOptions
) -> None:
    async with running(settings_for(sandbox, limits=limits), cached=True) as service:
        upstream_clock.stop()
        first = asking(service, 1, **SLOW)
        await called(sandbox)
        others = asking(service, 6, **SLOW)
        await shared_by(service, 7)
        upstream_clock.go_on()
        joined = await others
        agree([*await first, *joined])
        again = await asking(service, 2, **SLOW)
    assert (how(joined), how(again)) == ({"coalesced": 6}, {"hit": 2})
    assert len(calls(sandbox)) == 1


async def test_a_place_is_taken_by_who_joins_too(sandbox: Sandbox, upstream_clock: StoppableClock) -> None:
    limits = LimitsOptions(per_key=AllowanceOptions(requests_per_minute=3))
    async with running(settings_for(sandbox, limits=limits), cached=True) as service:
        upstream_clock.stop()
        first = asking(service, 1, **SLOW)
        await called(sandbox)
        others = asking(service, 4, **SLOW)
        await shared_by(service, 3)
        upstream_clock.go_on()
        statuses = Counter(answer.status for answer in await others)
        await first
    assert statuses == {200: 2, 429: 2}


async def test_who_has_to_lead_after_all_claims_what_a_call_takes(
    sandbox: Sandbox, upstream_clock: StoppableClock
) -> None:
    limits = LimitsOptions(per_provider={"openrouter": AllowanceOptions(requests_per_minute=1)})
    async with running(settings_for(sandbox, limits=limits), cached=True) as service:
        upstream_clock.stop()
        first = asking(service, 1, streams=[False], sandbox="slow-head-50ms+error-500")
        await called(sandbox)
        second = asking(service, 1, streams=[False], sandbox="slow-head-50ms+error-500")
        await shared_by(service, 2)
        upstream_clock.go_on()
        (joined,) = await second
        await first
    assert (joined.status, joined.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert len(calls(sandbox)) == 1
