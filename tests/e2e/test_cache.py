"""Answers that are given again, over HTTP: the same as the first time, unpaid, and never one that was not complete."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.cache import CacheOptions
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.sandbox import Sandbox
from tests.support.behaviours import cases
from tests.support.rest import Answer, ask
from tests.support.service import Running, running
from tests.support.shared_answers import (
    ADMIN,
    CHAT,
    PRICED,
    TurnedClock,
    a_key,
    ask_chat,
    calls,
    error_in,
    events,
    facts,
    record,
    said,
    settings_for,
)

MODELS = (PRICED, "deepseek/deepseek-flash", "plain/sandbox/chat")
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASKS: Mapping[str, Mapping[str, Any]] = {
    "text": {},
    "tool calls": {"tools": [TOOL], "tool_choice": "required", "sandbox": "tools-interleaved"},
    "reasoning": {"sandbox": "thinking"},
    "thought and call": {"tools": [TOOL], "sandbox": "thinking+tool-call"},
    "characters": {"sandbox": "unicode"},
}
USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def caching(sandbox: Sandbox, clock: TurnedClock) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox), cached=True, clock=clock) as service:
        yield service


async def how(service: Running, model: str = "plain/sandbox/chat", **other: Any) -> str:
    """What the cache did for a chat."""
    return (await ask_chat(service, model, **other)).headers["x-llm-cache"]


# -- a hit is its miss


@pytest.mark.parametrize("model", MODELS)
async def test_a_whole_hit_has_the_bytes_of_its_miss(caching: Running, sandbox: Sandbox, model: str) -> None:
    for asked in ASKS.values():
        miss, hit = [await ask_chat(caching, model, **asked) for _ in range(2)]
        assert (miss.headers["x-llm-cache"], hit.headers["x-llm-cache"]) == ("miss", "hit")
        assert hit.body == miss.body, asked
    assert len(calls(sandbox)) == len(ASKS)


@pytest.mark.parametrize("model", MODELS)
async def test_a_streamed_hit_has_the_events_of_its_miss(caching: Running, sandbox: Sandbox, model: str) -> None:
    for asked in ASKS.values():
        miss, hit, with_usage = [
            await ask_chat(caching, model, stream=True, **asked, **options) for options in ({}, {}, USAGE)
        ]
        assert events(hit.body) == events(miss.body), asked
        assert hit.body.endswith(b"data: [DONE]\n\n")
        assert events(with_usage.body)[:-1] == events(miss.body), asked
        assert events(with_usage.body)[-1][1]["usage"]["completion_tokens"] > 0
    assert len(calls(sandbox)) == len(ASKS)


async def test_usage_is_left_out_for_who_does_not_ask_for_it(caching: Running, sandbox: Sandbox) -> None:
    miss, hit = [await ask_chat(caching, stream=True, **options) for options in (USAGE, {})]
    assert events(hit.body) == events(miss.body)[:-1]
    assert not ["usage" for _, chunk in events(hit.body) if "usage" in chunk]
    assert facts(hit.body)["cache"] == "hit"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("first_streams", [False, True])
async def test_the_other_form_of_an_answer_says_the_same(
    caching: Running, sandbox: Sandbox, model: str, first_streams: bool
) -> None:
    forms = [{"stream": True, **USAGE}, {"stream": False}] if first_streams else [{}, {"stream": True, **USAGE}]
    for asked in ASKS.values():
        miss, hit = [await ask_chat(caching, model, **asked, **form) for form in forms]
        assert hit.headers["x-llm-cache"] == "hit"
        assert said(hit) == said(miss), asked
        assert any(choice.content or choice.calls for choice in said(hit).values())
        assert usage_of(hit) == usage_of(miss)
    assert len(calls(sandbox)) == len(ASKS)


def usage_of(answer: Answer) -> Any:
    return (events(answer.body)[-1][1] if answer.body.endswith(b"[DONE]\n\n") else answer.json())["usage"]


@pytest.mark.parametrize("forms", [(False, False), (True, True), (False, True), (True, False)])
async def test_text_completions_are_given_again(caching: Running, sandbox: Sandbox, forms: tuple[bool, bool]) -> None:
    asked = {"model": "plain/sandbox/chat", "prompt": "Once upon a time", "max_tokens": 4000}
    miss, hit = [
        await ask(caching.address, "POST", "/v1/completions", orjson.dumps({**asked, "stream": stream}))
        for stream in forms
    ]
    assert hit.headers["x-llm-cache"] == "hit"
    assert said(hit) == said(miss)
    assert said(hit)[0].finish_reason == "stop"
    assert len(calls(sandbox)) == 1


async def test_embeddings_are_given_again(caching: Running, sandbox: Sandbox) -> None:
    asked = {"model": "plain/text-embedding-3-small", "input": ["a", "b"]}
    miss, hit, packed = [
        await ask(caching.address, "POST", "/v1/embeddings", orjson.dumps({**asked, **other}))
        for other in ({}, {}, {"encoding_format": "base64"})
    ]
    assert [one.headers["x-llm-cache"] for one in (miss, hit, packed)] == ["miss", "hit", "miss"]
    assert hit.body == miss.body
    assert len(calls(sandbox)) == 2


async def test_what_the_hit_says_of_itself(caching: Running, clock: TurnedClock) -> None:
    miss = await ask_chat(caching, PRICED)
    clock.ahead_s = 100
    whole, streamed = await ask_chat(caching, PRICED), await ask_chat(caching, PRICED, stream=True)
    assert "age" not in miss.headers
    assert miss.headers["cache-status"] == "llm-service; fwd=uri-miss"
    for hit in (whole, streamed):
        assert int(hit.headers["age"]) in (100, 101)
        assert hit.headers["cache-status"] in ("llm-service; hit; ttl=3499", "llm-service; hit; ttl=3498")
        assert hit.headers["x-llm-attempts"] == "0"
        assert hit.headers["x-request-id"] != miss.headers["x-request-id"]
    assert miss.headers["cache-control"] == whole.headers["cache-control"] == "private, no-store"
    assert (whole.headers["x-llm-cost-usd"], whole.headers["x-llm-cost-source"]) == ("0", "none")
    told = facts(streamed.body)
    assert (told["cost_usd"], told["cache"], told["attempts"]) == ("0", "hit", 0)
    assert told["request_id"] == streamed.headers["x-request-id"]


async def test_a_hit_costs_nothing_and_its_record_tells_what_was_saved(caching: Running) -> None:
    paid = await record(caching, await ask_chat(caching, PRICED))
    for stream in (False, True):
        free = await record(caching, await ask_chat(caching, PRICED, stream=stream))
        assert (free["cost_usd"], free["cost_source"], free["saved_usd"]) == ("0", "none", paid["cost_usd"])
        assert (free["cache"], free["attempts"], free["provider"]) == ("hit", 0, None)
        assert (free["output_tokens"], free["status"]) == (paid["output_tokens"], "ok")
        assert free["cache_key"] == paid["cache_key"] is not None
    assert (paid["cache"], paid["saved_usd"]) == ("miss", "0")
    assert Decimal(paid["cost_usd"]) > 0


async def test_a_hit_keeps_its_permit_and_gives_back_the_rest(sandbox: Sandbox) -> None:
    everybody = AllowanceOptions(
        requests_per_minute=5, tokens_per_minute=900_000, concurrent_requests=3, budget_usd=Decimal(9)
    )
    per_provider = {"openrouter": AllowanceOptions(requests_per_minute=7, concurrent_requests=7)}
    limits = LimitsOptions(everybody=everybody, per_provider=per_provider)
    async with running(settings_for(sandbox, guarded=True, limits=limits), cached=True) as service:
        by = await a_key(service)
        paid = await record(service, await ask_chat(service, PRICED, by=by), by)
        for stream in (False, True):
            assert await how(service, PRICED, by=by, stream=stream) == "hit"
        listed = (await ask(service.address, "GET", "/admin/limits", **ADMIN)).json()["data"]
        states = {(one["scope"], one["kind"]): (one["used"], one["reserved"]) for one in listed}
        statuses = [(await ask_chat(service, PRICED, by=by)).status for _ in range(3)]
    assert states["global", "requests"][0] == 3
    assert states["global", "tokens"] == (paid["input_tokens"] + paid["output_tokens"], 0)
    assert states["global", "money"] == (paid["cost_usd"], "0")
    assert (states["global", "concurrency"][0], states["provider", "concurrency"][0]) == (0, 0)
    assert states["provider", "requests"][0] == 1
    assert statuses == [200, 200, 429]


# -- what the client asks of the cache


async def test_no_cache_asks_the_upstream_and_keeps_the_new_answer(caching: Running, sandbox: Sandbox) -> None:
    old = await ask_chat(caching)
    new = await ask_chat(caching, by={"Cache-Control": "no-cache"})
    after = await ask_chat(caching)
    assert (new.headers["x-llm-cache"], after.headers["x-llm-cache"]) == ("miss", "hit")
    assert new.headers["cache-status"] == "llm-service; fwd=request"
    assert old.json()["id"] != new.json()["id"] == after.json()["id"]
    assert len(calls(sandbox)) == 2


async def test_no_store_neither_takes_nor_leaves_anything(caching: Running, sandbox: Sandbox) -> None:
    unkept = await ask_chat(caching, by={"Cache-Control": "no-store"})
    kept = await ask_chat(caching)
    passed = await ask_chat(caching, by={"Cache-Control": "no-store"})
    assert [one.headers["x-llm-cache"] for one in (unkept, kept, passed)] == ["bypass", "miss", "bypass"]
    assert passed.headers["cache-status"] == "llm-service; fwd=bypass"
    assert (await record(caching, passed))["cache"] == "bypass"
    assert (await ask_chat(caching)).json()["id"] == kept.json()["id"]
    assert len(calls(sandbox)) == 3


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("max-age=200", "hit"),
        ("max-age=50", "miss"),
        ("min-fresh=3000", "hit"),
        ("min-fresh=3550", "miss"),
        ("max-age=200, min-fresh=3550", "miss"),
        ("", "hit"),
        ("unheard-of=7", "hit"),
    ],
)
async def test_an_age_is_minded(caching: Running, clock: TurnedClock, asked: str, given: str) -> None:
    await ask_chat(caching)
    clock.ahead_s = 100
    assert await how(caching, by={"Cache-Control": asked}) == given


async def test_an_answer_is_fresh_for_its_time(caching: Running, clock: TurnedClock, sandbox: Sandbox) -> None:
    await ask_chat(caching)
    clock.ahead_s = 3590
    assert await how(caching) == "hit"
    clock.ahead_s = 3601
    late = await ask_chat(caching)
    assert (late.headers["x-llm-cache"], len(calls(sandbox))) == ("miss", 2)


async def test_only_if_cached_never_asks_the_upstream(caching: Running, sandbox: Sandbox) -> None:
    asked = {"Cache-Control": "only-if-cached"}
    for stream in (False, True):
        missed = await ask_chat(caching, by=asked, stream=stream)
        assert (missed.status, missed.json()["error"]["code"]) == (504, "only_if_cached_miss")
    assert calls(sandbox) == []
    await ask_chat(caching)
    assert await how(caching, by=asked) == await how(caching, by=asked, stream=True) == "hit"
    refused = await ask_chat(caching, by={"Cache-Control": "only-if-cached, no-store"})
    assert (refused.status, len(calls(sandbox))) == (504, 1)


async def test_a_number_that_is_none_is_refused(caching: Running, sandbox: Sandbox) -> None:
    refused = await ask_chat(caching, by={"Cache-Control": "max-age=soon"})
    assert (refused.status, refused.json()["error"]["param"]) == (400, "Cache-Control")
    assert calls(sandbox) == []


# -- who shares, and what is not shared


@pytest.mark.parametrize("asked", [{"temperature": 0.9}, {"n": 2}, {}])
async def test_who_wants_variety_passes_the_cache_by(sandbox: Sandbox, asked: dict[str, Any]) -> None:
    async with running(settings_for(sandbox, cache=CacheOptions(max_temperature=0.8)), cached=True) as service:
        assert [await how(service, **asked) for _ in range(2)] == ["bypass", "bypass"]
        assert [await how(service, temperature=0.8) for _ in range(2)] == ["miss", "hit"]
    assert len(calls(sandbox)) == 3


async def test_whatever_may_change_the_answer_counts(caching: Running) -> None:
    question = "What is the capital of France?"
    others: list[dict[str, Any]] = [
        {"temperature": 0},
        {"max_tokens": 4000},
        {"seed": 1},
        {"stop": "never"},
        {"user": "ann"},
        {"unheard_of": None},
        {"tools": [TOOL], "tool_choice": "none"},
        {"messages": [{"role": "user", "content": f"{question} "}]},
        {"messages": [{"role": "system", "content": question}]},
    ]
    await ask_chat(caching)
    assert [await how(caching, **other) for other in others] == ["miss"] * len(others)
    assert [await how(caching, **other) for other in others] == ["hit"] * len(others)


async def test_order_and_spacing_do_not_count(caching: Running) -> None:
    await ask_chat(caching, seed=1, temperature=1)
    text = b'{ "temperature" : 1.0, "messages": [{"content": "What is the capital of France?", "role": "user"}],\n'
    same = await ask(caching.address, "POST", CHAT, text + b' "seed": 1, "model": "plain/sandbox/chat"}')
    assert same.headers["x-llm-cache"] == "hit"


@pytest.mark.parametrize(
    ("scope", "given"),
    [
        ("key", ["miss", "miss", "miss", "miss"]),
        ("user", ["miss", "hit", "miss", "miss"]),
        ("global", ["miss"] + ["hit"] * 3),
    ],
)
async def test_who_shares_with_whom(sandbox: Sandbox, scope: Any, given: list[str]) -> None:
    async with running(settings_for(sandbox, guarded=True, cache=CacheOptions(scope=scope)), cached=True) as service:
        keys = [await a_key(service, user=user) for user in ("ann", "ann", "bob", None)]
        assert [await how(service, by=key) for key in keys] == given
        assert [await how(service, by=key) for key in keys] == ["hit"] * 4


async def test_a_model_may_have_a_time_of_its_own(sandbox: Sandbox, clock: TurnedClock) -> None:
    deployments = (DeploymentOptions(provider="plain", model="sandbox/chat"),)
    times = {"short": 10.0, "never": 0.0, "usual": None}
    models = {name: ModelOptions(deployments=deployments, cache_ttl_s=ttl_s) for name, ttl_s in times.items()}
    async with running(settings_for(sandbox, models=models), cached=True, clock=clock) as service:
        assert [await how(service, name) for name in times] == ["miss", "bypass", "miss"]
        clock.ahead_s = 11
        assert [await how(service, name) for name in times] == ["miss", "bypass", "hit"]


# -- what is never kept


FAILING = ("Errors", "Broken connections", "Malformed bodies")


def failures(provider: str) -> Iterator[str]:
    for group in FAILING:
        yield from (case.behaviour for case in cases(provider, group) if case.ends == "error")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
async def test_no_failure_is_kept(caching: Running, sandbox: Sandbox, model: str, stream: bool) -> None:
    kept = []
    for behaviour in failures(model.partition("/")[0]):
        if behaviour.startswith("first-"):
            continue  # it works the second time
        sandbox.reset()
        twice = [await ask_chat(caching, model, stream=stream, sandbox=behaviour) for _ in range(2)]
        if None in map(error_in, twice) or len(calls(sandbox)) != 2:
            kept.append((behaviour, [(one.status, error_in(one)) for one in twice], len(calls(sandbox))))
    assert kept == []
    assert (await caching.stores.cache.sizes()).entries == 0


INCOMPLETE = ("finish-length", "finish-content_filter", "no-content", "reasoning-only", "tokens-0")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
async def test_no_answer_that_is_cut_off_censored_empty_or_complained_of_is_kept(
    caching: Running, sandbox: Sandbox, model: str, stream: bool
) -> None:
    complained = ("error-mid-after-finish",) if stream else ()
    for behaviour in (*INCOMPLETE, *complained):
        for _ in range(2):
            answer = await ask_chat(caching, model, stream=stream, sandbox=behaviour)
            assert (answer.status, answer.headers["x-llm-cache"]) == (200, "miss"), behaviour
    assert len(calls(sandbox)) == 2 * len((*INCOMPLETE, *complained))


@pytest.mark.parametrize("behaviour", ["stall-head", "stall-after-0", "stall-after-3", "keep-alive-20s"])
@pytest.mark.parametrize("stream", [False, True])
async def test_no_answer_that_never_came_is_kept(sandbox: Sandbox, behaviour: str, stream: bool) -> None:
    settings = settings_for(sandbox)
    timeouts = {name: replace(one, timeouts=replace(one.timeouts, first_chunk_s=0.2, idle_s=0.2, total_s=0.5))
                for name, one in settings.providers.items()}  # fmt: skip
    async with running(replace(settings, providers=timeouts), cached=True) as service:
        codes = [error_in(await ask_chat(service, stream=stream, sandbox=behaviour)) for _ in range(2)]
    assert set(codes) == {"upstream_timeout"}
    assert len(calls(sandbox)) == 2


async def test_an_answer_that_is_too_large_is_not_kept(sandbox: Sandbox) -> None:
    async with running(settings_for(sandbox, cache=CacheOptions(max_entry_bytes=4096)), cached=True) as service:
        asked = [{"sandbox": "tokens-2000"}, {"sandbox": "tokens-2000", "stream": True}, {"sandbox": "tokens-3"}]
        assert [await how(service, **one) for one in asked for _ in range(2)] == ["miss"] * 5 + ["hit"]


# -- stale answers in place of errors


@pytest.fixture
async def forgiving(sandbox: Sandbox, clock: TurnedClock) -> AsyncIterator[Running]:
    options = CacheOptions(ttl_s=10, stale_if_error_s=100)
    async with running(settings_for(sandbox, cache=options), cached=True, clock=clock) as service:
        yield service


@pytest.mark.parametrize("first_streams", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_fails_is_stood_in_for(
    forgiving: Running, sandbox: Sandbox, clock: TurnedClock, first_streams: bool, stream: bool
) -> None:
    before = await ask_chat(forgiving, PRICED, stream=first_streams)
    clock.ahead_s = 50
    sandbox.script("error-503")
    stale = await ask_chat(forgiving, PRICED, stream=stream)
    assert (stale.status, stale.headers["x-llm-cache"]) == (200, "stale")
    assert int(stale.headers["age"]) in (50, 51)
    assert said(stale) == said(before)
    kept = await record(forgiving, stale)
    assert (kept["cache"], kept["cost_usd"], kept["status"]) == ("stale", "0", "ok")
    assert kept["saved_usd"] == (await record(forgiving, before))["cost_usd"] != "0"
    clock.ahead_s = 111
    assert (await ask_chat(forgiving, PRICED, stream=stream)).status == 502
    assert len(calls(sandbox)) == 3


async def test_a_stale_answer_is_given_for_no_fault_of_the_callers(
    forgiving: Running, sandbox: Sandbox, clock: TurnedClock
) -> None:
    await ask_chat(forgiving)
    clock.ahead_s = 50
    sandbox.script("error-400")
    assert (await ask_chat(forgiving)).status == 400
    sandbox.script("error-503")
    assert (await ask_chat(forgiving, by={"Cache-Control": "max-age=20"})).status == 502
    assert (await ask_chat(forgiving, by={"Cache-Control": "no-cache"})).status == 502


async def test_a_stale_answer_is_replaced_by_the_next_good_one(
    forgiving: Running, sandbox: Sandbox, clock: TurnedClock
) -> None:
    old = await ask_chat(forgiving)
    clock.ahead_s = 50
    sandbox.script("error-503", times=1)
    answers: list[Answer] = [await ask_chat(forgiving) for _ in range(3)]
    assert [one.headers["x-llm-cache"] for one in answers] == ["stale", "miss", "hit"]
    assert old.json()["id"] == answers[0].json()["id"] != answers[1].json()["id"] == answers[2].json()["id"]


async def test_who_takes_stale_answers_gets_them(forgiving: Running, sandbox: Sandbox, clock: TurnedClock) -> None:
    await ask_chat(forgiving)
    clock.ahead_s = 50
    assert await how(forgiving, by={"Cache-Control": "max-stale=60"}) == "stale"
    assert await how(forgiving, by={"Cache-Control": "max-stale=20"}) == "miss"
    assert len(calls(sandbox)) == 2
