"""Requests under an ``Idempotency-Key``, over HTTP: one call and one paid record, however often they are sent."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.sandbox import Sandbox
from llm_service.storage import StoreUnavailable
from llm_service.streams import StreamOptions
from tests.support.clock import StoppableClock
from tests.support.deployment import ADMIN_KEY as DEPLOYED_KEY
from tests.support.deployment import sandbox_process, serving_one
from tests.support.process import place, serving
from tests.support.rest import Answer, ask, connected
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
    said,
    settings_for,
    shared_by,
)
from tests.support.waiting import until, until_answered

KEY = {"Idempotency-Key": "order-4711"}
SLOW = {"sandbox": "slow-head-250ms"}
PACED = {"sandbox": "tokens-40+pace-5ms"}


@pytest.fixture(params=[True, False], ids=["cached", "uncached"])
async def service(sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """What holds of keys holds with and without a cache."""
    async with running(settings_for(sandbox), cached=request.param) as service:
        yield service


def how(answer: Answer) -> str:
    """Where an answer came from; ``new`` with a cache that had none, and without a cache."""
    told = answer.headers["x-llm-cache"]
    return "new" if told in ("miss", "bypass") else told


# -- the same again


@pytest.mark.parametrize("streams", [(False,), (True,), (True, False)])
async def test_twenty_at_once_are_one_call_and_one_record(
    service: Running, sandbox: Sandbox, streams: tuple[bool, ...]
) -> None:
    answers = await asking(service, 20, streams=streams, by=KEY, **SLOW)
    assert [error_in(one) for one in answers] == [None] * 20
    assert Counter(map(how, answers)) == {"new": 1, "replay": 19}
    assert len({repr(said(one)) for one in answers}) == 1
    assert len({one.body for one in answers if not is_stream(one)}) <= 1
    assert len(calls(sandbox)) == 1
    (paid,) = await all_records(service)
    assert Decimal(paid["cost_usd"]) > 0
    assert paid["request_id"] == next(one.headers["x-request-id"] for one in answers if how(one) == "new")


@pytest.mark.parametrize("streams", [(False, False), (True, True), (False, True), (True, False)])
async def test_the_same_later_is_the_same_answer_unpaid(
    service: Running, sandbox: Sandbox, streams: tuple[bool, bool]
) -> None:
    first, again = [await ask_chat(service, PRICED, by=KEY, stream=stream) for stream in streams]
    assert (how(first), how(again)) == ("new", "replay")
    assert said(again) == said(first)
    if streams == (False, False):
        assert again.body == first.body
    if streams == (True, True):
        assert events(again.body) == events(first.body)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert (again.headers["cache-status"], again.headers["x-llm-attempts"]) == ("llm-service; hit", "0")
    assert int(again.headers["age"]) in (0, 1)
    told = facts(again.body) if streams[1] else {}
    cost = told.get("cost_usd") or again.headers["x-llm-cost-usd"]
    source = told.get("cost_source") or again.headers["x-llm-cost-source"]
    assert (cost, source, len(calls(sandbox)), len(await all_records(service))) == ("0", "none", 1, 1)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/completions", {"model": "plain/sandbox/chat", "prompt": "Once upon a time", "max_tokens": 9}),
        ("/v1/embeddings", {"model": "plain/text-embedding-3-small", "input": ["a", "b"]}),
        (CHAT, {"model": "plain/sandbox/chat", "messages": [{"role": "user", "content": "Hi"}], "n": 3}),
        (CHAT, {"model": "plain/sandbox/finish-length", "messages": [{"role": "user", "content": "Hi"}]}),
        (CHAT, {"model": "plain/sandbox/no-content", "messages": [{"role": "user", "content": "Hi"}]}),
    ],
)
async def test_what_the_cache_would_not_keep_is_repeated_too(
    service: Running, sandbox: Sandbox, path: str, asked: dict[str, Any]
) -> None:
    first, again = [await ask(service.address, "POST", path, orjson.dumps(asked), **KEY) for _ in range(2)]
    assert (first.status, how(again), again.body) == (200, "replay", first.body)
    assert len(calls(sandbox)) == 1


async def test_an_answer_of_the_cache_is_repeated_under_the_key(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox), cached=True) as service:
        answers = [await ask_chat(service, by=by) for by in ({}, KEY, KEY, {})]
    assert [how(one) for one in answers] == ["new", "hit", "replay", "hit"]
    assert len({one.body for one in answers}) == 1


async def test_a_key_that_shares_somebody_elses_call_has_its_answer(
    sandbox: Sandbox, upstream_clock: StoppableClock
) -> None:
    async with running(settings_for(sandbox), cached=True) as service:
        upstream_clock.stop()
        first = asyncio.ensure_future(ask_chat(service, PRICED, stream=True, **SLOW))
        await called(sandbox)
        both = asking(service, 2, streams=[False], by=KEY, **SLOW)
        await shared_by(service, 2)
        upstream_clock.go_on()
        shared, again = await both
        assert {how(shared), how(again)} == {"coalesced", "replay"}
        assert said(shared) == said(again) == said(await first)
        assert how(await ask_chat(service, PRICED, by=KEY, **SLOW)) == "replay"
    assert len(calls(sandbox)) == 1


# -- what is not the same


async def test_another_request_under_the_same_key_is_refused(service: Running, sandbox: Sandbox) -> None:
    await ask_chat(service, by=KEY)
    prompt = orjson.dumps({"model": "plain/sandbox/chat", "prompt": "Hi"})
    others = [
        await ask_chat(service, by=KEY, seed=1),
        await ask_chat(service, by=KEY, stream=True, temperature=0),
        await ask(service.address, "POST", "/v1/completions", prompt, **KEY),
    ]
    assert {(one.status, error_in(one)) for one in others} == {(422, "idempotency_key_reused")}
    assert how(await ask_chat(service, by=KEY)) == "replay"
    assert len(calls(sandbox)) == 1


async def test_another_request_is_refused_while_the_first_runs(service: Running, sandbox: Sandbox) -> None:
    first = asyncio.ensure_future(ask_chat(service, by=KEY, **SLOW))
    await called(sandbox)
    assert (await ask_chat(service, by=KEY)).status == 422
    assert (await first).status == 200


async def test_tenants_have_keys_of_their_own(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox, guarded=True), cached=True) as service:
        ours, theirs = await a_key(service, user="ann"), await a_key(service, user="ann")
        first = await ask_chat(service, by={**ours, **KEY})
        other = await ask_chat(service, by={**theirs, **KEY}, seed=1)
        again = [
            await ask_chat(service, by={**by, **KEY}, **asked) for by, asked in ((ours, {}), (theirs, {"seed": 1}))
        ]
    assert [how(one) for one in (first, other, *again)] == ["new", "new", "replay", "replay"]
    assert [one.json()["id"] for one in again] == [first.json()["id"], other.json()["id"]]


@pytest.mark.parametrize("key", ["", "x" * 300])
async def test_a_key_that_is_none_is_refused(service: Running, key: str) -> None:
    refused = await ask_chat(service, by={"Idempotency-Key": key})
    assert (refused.status, refused.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_a_body_that_is_nested_too_deeply_is_refused(service: Running, sandbox: Sandbox) -> None:
    body = b'{"model": "plain/sandbox/chat", "messages": [{"role": "user", "content": "Hi"}], "extra": %s}'
    answer = await ask(service.address, "POST", CHAT, body % (b"[" * 1000 + b"]" * 1000), **KEY)
    assert (answer.status, error_in(answer)) == (400, "invalid_value")
    assert b"nested too deeply" in answer.body
    assert calls(sandbox) == []


# -- who fails, who leaves


FAILURES = ("error-500", "error-400", "error-429", "cut-after-3", "error-in-200", "html", "end-after-0")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_does_not_burn_the_key(service: Running, sandbox: Sandbox, stream: bool) -> None:
    for number, behaviour in enumerate(FAILURES):
        sandbox.reset()
        sandbox.script(behaviour, times=1)
        by = {"Idempotency-Key": behaviour}
        failed, new, again = [await ask_chat(service, by=by, stream=stream, seed=number) for _ in range(3)]
        assert error_in(failed) is not None, behaviour
        assert (how(new), how(again), len(calls(sandbox))) == ("new", "replay", 2), behaviour


async def test_a_failure_under_twenty_is_followed_by_one_more_call(service: Running, sandbox: Sandbox) -> None:
    sandbox.script("slow-head-200ms+error-500", times=1)
    answers = await asking(service, 20, streams=[False], by=KEY, **SLOW)
    assert Counter(one.status for one in answers) == {200: 19, 502: 1}
    assert len({one.body for one in answers if one.status == 200}) == 1
    assert len(calls(sandbox)) == 2
    assert len([one for one in await all_records(service) if one["cost_usd"] != "0"]) == 1


async def test_a_refusal_of_a_limit_does_not_burn_the_key(sandbox: Sandbox, upstream_clock: StoppableClock) -> None:
    async with running(settings_for(sandbox, guarded=True), cached=True) as service:
        by = {**await a_key(service, concurrent_requests=1), **KEY}
        upstream_clock.stop()
        first = asyncio.ensure_future(ask_chat(service, by={**by, "Idempotency-Key": "other"}, **SLOW))
        await called(sandbox)
        refused = await ask_chat(service, by=by)
        upstream_clock.go_on()
        await first
        answers = [await ask_chat(service, by=by) for _ in range(2)]
    assert refused.status == 429
    assert [how(one) for one in answers] == ["new", "replay"]


async def test_a_database_that_is_away_at_the_end_keeps_the_answer_when_it_is_back(
    service: Running, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("of a test")

    with monkeypatch.context() as outage:
        outage.setattr(type(service.stores.database.replays), "keep", away)
        first = await ask_chat(service, by=KEY)
    async with asyncio.timeout(PATIENCE_S):
        meanwhile = await ask_chat(service, by=KEY)
    await until(lambda: not service.stores.streams.keyed)
    after = await ask_chat(service, by=KEY)
    assert [how(one) for one in (first, meanwhile, after)] == ["new", "replay", "replay"]
    assert first.body == meanwhile.body == after.body
    assert len(calls(sandbox)) == 1


async def test_an_answer_that_is_too_large_to_be_kept_is_never_paid_twice(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox, streams=StreamOptions(max_bytes=65_536))
    async with running(settings) as service:
        first, *again = [
            await ask_chat(service, by=KEY, stream=stream, sandbox="tokens-2000") for stream in (True, True, False)
        ]
    assert (how(first), len(first.body) > 100_000) == ("new", True)
    assert {(one.status, error_in(one)) for one in again} == {(422, "idempotency_key_reused")}
    assert all(b"too large to be kept" in one.body for one in again)
    assert len(calls(sandbox)) == 1


@pytest.mark.parametrize("ahead", ["before the answer", "in the middle", "whole"])
async def test_who_leaves_and_comes_again_gets_the_answer_of_the_first_call(
    service: Running, sandbox: Sandbox, ahead: str
) -> None:
    asked = PACED if ahead == "in the middle" else SLOW
    async with leading(service, sandbox, by=KEY, stream=ahead != "whole", **asked) as leaving:
        if ahead == "in the middle":
            await leaving.head()
            await first_events(leaving.pieces(), 5)
    again = [await ask_chat(service, PRICED, by=KEY, stream=stream, **asked) for stream in (True, False)]
    assert [how(one) for one in again] == ["replay", "replay"]
    assert said(again[0]) == said(again[1])
    assert [entry["state"] for entry in calls(sandbox)] == ["completed"]
    (paid,) = await all_records(service)
    assert (paid["status"], paid["cost_usd"] != "0") == ("ok", True)
    assert not service.stores.streams.keyed


async def test_who_waits_for_the_first_answer_has_a_deadline_all_the_same(
    service: Running, sandbox: Sandbox, upstream_clock: StoppableClock
) -> None:
    upstream_clock.stop()
    first = asyncio.ensure_future(ask_chat(service, by=KEY, **SLOW))
    await called(sandbox)
    second = await ask_chat(service, by={**KEY, "X-LLM-Timeout-S": "0.1"}, **SLOW)
    assert (error_in(second), first.done()) == ("deadline_exceeded", False)
    upstream_clock.go_on()
    assert (await first).status == 200


# -- another process


async def test_after_a_restart_the_answer_is_still_there(tmp_path: Path) -> None:
    home = place(tmp_path, cached=True)
    body = body_of("openai/sandbox/chat")
    answers = []
    for _ in range(2):
        with serving(home) as service:
            answers.append(await ask(service.address, "POST", CHAT, body, **KEY))
            other = await ask(service.address, "POST", CHAT, body_of("openai/sandbox/chat", seed=1), **KEY)
            assert other.status == 422
            assert service.child.stop() == 0
    assert [how(one) for one in answers] == ["new", "replay"]
    assert answers[0].body == answers[1].body


async def test_a_process_that_is_killed_does_not_burn_the_key(tmp_path: Path) -> None:
    by, body = {**KEY, "Authorization": f"Bearer {DEPLOYED_KEY}"}, body_of("plain/sandbox/slow-head-500ms")
    with sandbox_process(tmp_path / "upstream") as upstream:

        async def asked() -> bool:
            return bool((await ask(upstream, "GET", "/_requests")).json()["data"])

        with serving_one(tmp_path, 0, upstream) as service:
            async with connected(service.address) as connection:
                connection.send("POST", CHAT, body, **by)
                await until_answered(asked)
                service.child.signal(signal.SIGKILL)
                await asyncio.to_thread(service.child.ended)
        with serving_one(tmp_path, 0, upstream) as service:
            answers = [await ask(service.address, "POST", CHAT, body, **by) for _ in range(2)]
    assert [(one.status, how(one)) for one in answers] == [(200, "new"), (200, "replay")]
