"""What is explained of a request is what then happens to it, and explaining it does nothing."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.domain import Candidate
from llm_service.prices import PriceOptions
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from tests.support.doors import Options, chat
from tests.support.doors.asked import chat_input
from tests.support.rest import Answer, ask
from tests.support.service import Running, running
from tests.support.shared_answers import ADMIN, PRICED, a_key, body_of, calls, leading, settings_for
from tests.unit.api.test_openapi import schema

CHAT = "plain/sandbox/chat"
QUERY = """query ($input: ChatInput!) { explain(input: $input) {
    result { would action cache provider upstreamModel deadlineS error { code status } retries { provider } }
    route { model trigger strategy sticky deployments { provider upstreamModel rank obstacle why price { worst } } }
    limits { inputTokens outputTokens outputCap limits { takes hasRoom state { scope kind limit used } } }
    cache { status reason ageS ttlS inFlight } idempotency typicalOutputTokens } }"""
LONG = "word " * 40_000


def at(provider: str, model: str = "sandbox/chat", **more: Any) -> DeploymentOptions:
    return DeploymentOptions(provider=provider, model=model, **more)


MODELS: Mapping[str, ModelOptions] = {
    "two": ModelOptions(deployments=(at("plain"), at("openrouter", "openai/gpt-4o-mini"))),
    "drawn": ModelOptions(
        deployments=(at("plain"), at("openrouter", "openai/gpt-4o-mini"), at("deepseek", "deepseek-flash")),
        strategy="weighted",
    ),
    "cheap": ModelOptions(deployments=(at("plain"), at("openrouter", "openai/gpt-4o-mini")), strategy="cost"),
    "sticky": ModelOptions(
        deployments=(at("plain"), at("openrouter", "openai/gpt-4o-mini")), strategy="weighted", sticky=True
    ),
    "toolless": ModelOptions(deployments=(at("plain", lacks=("tools",)),), fallbacks=("two",)),
    "short": ModelOptions(deployments=(at("plain", context_tokens=100),), context_fallbacks=("two",)),
    "none": ModelOptions(deployments=(at("plain", lacks=("tools",)), at("deepseek", "x", lacks=("tools",)))),
    "unkept": ModelOptions(deployments=(at("plain"),), cache_ttl_s=0),
    "tagged": ModelOptions(deployments=(at("plain"), at("deepseek", "deepseek-flash", tags=("eu",)))),
}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


async def nothing(service: Running) -> None:
    """Asked on its own."""


async def once(service: Running) -> None:
    await ask(service.address, "POST", "/v1/chat/completions", orjson.dumps(chat(CHAT)))


async def keyed(service: Running) -> None:
    headers = {"Idempotency-Key": "k"}
    await ask(service.address, "POST", "/v1/chat/completions", orjson.dumps(chat(CHAT)), **headers)


@dataclass
class Case:
    body: dict[str, Any]
    expected: str
    options: Options = field(default_factory=Options)
    before: Callable[[Running], Awaitable[None]] = nothing
    limits: LimitsOptions = field(default_factory=LimitsOptions)


def everybody(**allowed: Any) -> LimitsOptions:
    return LimitsOptions(everybody=AllowanceOptions(**allowed))


CASES: Mapping[str, Case] = {
    "plain": Case(chat(CHAT), f"call {CHAT}"),
    "stream": Case(chat(CHAT, stream=True), f"call {CHAT}"),
    "first of two": Case(chat("two"), f"call {CHAT}"),
    "cheapest": Case(chat("cheap"), "call openrouter/openai/gpt-4o-mini"),
    "drawn": Case(chat("drawn"), "call"),
    "sticky": Case(chat("sticky"), "call"),
    "tag": Case(chat("tagged"), "call deepseek/deepseek-flash", Options(tags={"route": "eu"})),
    "tools fall back": Case(chat("toolless", tools=TOOLS), f"call {CHAT}"),
    "too long falls back": Case(chat("short", messages=[{"role": "user", "content": LONG}]), f"call {CHAT}"),
    "nobody fits": Case(chat("none", tools=TOOLS), "refuse invalid_value 400"),
    "unknown": Case(chat("deepseek/"), "refuse model_not_found 404"),
    "hit": Case(chat(CHAT), "answer from the cache", before=once),
    "no-cache": Case(chat(CHAT), f"call {CHAT}", Options(cache_control="no-cache"), before=once),
    "no-store": Case(chat(CHAT), f"call {CHAT}", Options(cache_control="no-store"), before=once),
    "several": Case(chat(CHAT, n=2), f"call {CHAT}"),
    "not kept": Case(chat("unkept"), f"call {CHAT}"),
    "only if cached": Case(chat(CHAT), "refuse only_if_cached_miss 504", Options(cache_control="only-if-cached")),
    "deadline": Case(chat(CHAT), f"call {CHAT}", Options(timeout_s=30)),
    "new key": Case(chat(CHAT), f"call {CHAT}", Options(idempotency_key="new")),
    "known key": Case(chat(CHAT), "answer from the cache", Options(idempotency_key="k"), before=keyed),
    "used key": Case(
        chat(CHAT, seed=1), "refuse idempotency_key_reused 422", Options(idempotency_key="k"), before=keyed
    ),
    "room": Case(chat(CHAT), f"call {CHAT}", limits=everybody(requests_per_minute=1, tokens_per_minute=5_000)),
    "hit takes a place": Case(
        chat(CHAT), "refuse rate_limit_exceeded 429", before=once, limits=everybody(requests_per_minute=1)
    ),
    "requests": Case(
        chat(CHAT, seed=2), "refuse rate_limit_exceeded 429", before=once, limits=everybody(requests_per_minute=1)
    ),
    "tokens": Case(
        chat(CHAT, max_tokens=900), "refuse rate_limit_exceeded 429", limits=everybody(tokens_per_minute=500)
    ),
    "shrunk": Case(chat(CHAT), f"call {CHAT}", limits=everybody(tokens_per_minute=1_000)),
    "budget": Case(
        chat(CHAT, max_tokens=900), "refuse budget_exceeded 429", limits=everybody(budget_usd=Decimal("0.001"))
    ),
    "no price": Case(
        chat("deepseek/nobody-knows"), "refuse price_unknown 429", limits=everybody(budget_usd=Decimal(1))
    ),
    "provider's limit": Case(
        chat("two", seed=3),
        "call openrouter/openai/gpt-4o-mini",
        before=once,
        limits=LimitsOptions(per_provider={"plain": AllowanceOptions(requests_per_minute=1)}),
    ),
}


@asynccontextmanager
async def served(sandbox: Sandbox, limits: LimitsOptions, **other: Any) -> AsyncIterator[Running]:
    prices = {"plain/*": PriceOptions(input_usd=Decimal(3), output_usd=Decimal(7))}
    settings = settings_for(sandbox, limits=limits, prices=prices, models=MODELS, **other)
    async with running(settings, cached=True, resilient=True) as service:
        yield service


async def explained(service: Running, body: Any, options: Options | None = None, **key: str) -> Any:
    """Over REST, as it is described."""
    headers = (options or Options()).headers | key
    answer = await ask(service.address, "POST", "/v1/explain", orjson.dumps(body), **headers)
    assert answer.status == 200, answer.body
    schema("Explanation").validate(answer.json())
    return answer.json()


async def explained_by_graphql(service: Running, body: Any, options: Options) -> Any:
    given = chat_input({name: value for name, value in body.items() if name != "stream"}, options)
    asked = orjson.dumps({"query": QUERY, "variables": {"input": given}})
    result = (await ask(service.address, "POST", "/graphql", asked)).json()
    assert "errors" not in result, result
    return result["data"]["explain"]


@pytest.mark.parametrize("name", CASES)
async def test_what_is_explained_then_happens(sandbox: Sandbox, name: str) -> None:
    case = CASES[name]
    async with served(sandbox, case.limits) as service:
        await case.before(service)
        before = len(calls(sandbox))
        seen = await explained(service, case.body, case.options)
        again = await explained(service, case.body, case.options)
        typed = await explained_by_graphql(service, case.body, case.options)
        assert len(calls(sandbox)) == before
        assert again["result"]["would"] == seen["result"]["would"] == typed["result"]["would"]
        assert used_in(again) == used_in(seen)
        assert said_by(seen).startswith(case.expected)
        answer = await ask(
            service.address, "POST", "/v1/chat/completions", orjson.dumps(case.body), **case.options.headers
        )
        agrees(seen, typed, answer)


def used_in(seen: Any) -> Any:
    return None if seen["limits"] is None else [one["used"] for one in seen["limits"]["limits"]]


def without_seconds(error: Any) -> Any:
    """A second may have passed."""
    return {**error, "message": re.sub(r"in \d+ s\.", "in some s.", error["message"])}


def said_by(seen: Any) -> str:
    result = seen["result"]
    if result["error"] is None:
        return str(result["would"])
    return f"refuse {result['error']['error']['code']} {result['status']}"


def agrees(seen: Any, typed: Any, answer: Answer) -> None:
    """The answer is as it was explained."""
    result = seen["result"]
    if result["action"] == "refuse":
        assert answer.status == result["status"] == typed["result"]["error"]["status"], answer.body
        told, foretold = answer.json(), result["error"]
        assert without_seconds(told["error"]) == without_seconds(foretold["error"])
        assert told.get("limit") == foretold.get("limit")
        assert told["retryable"] == foretold["retryable"]
        return
    assert answer.headers["x-llm-cache"] == result["cache"] == typed["result"]["cache"].lower()
    if result["action"] == "call" and answer.status == 200:
        called = answer.headers["x-llm-provider"], answer.headers["x-llm-model"]
        assert called == (result["provider"], result["upstream_model"])
        assert called == (typed["result"]["provider"], typed["result"]["upstreamModel"])
        costs_no_more(seen, answer)


def costs_no_more(seen: Any, answer: Answer) -> None:
    provider, model = seen["result"]["provider"], seen["result"]["upstream_model"]
    (deployment, *_) = [
        one
        for group in seen["route"]
        for one in group["deployments"]
        if (one["provider"], one["upstream_model"]) == (provider, model)
    ]
    price = deployment["price"]
    if price is not None and price["worst_usd"] is not None and "x-llm-cost-usd" in answer.headers:
        assert Decimal(answer.headers["x-llm-cost-usd"]) <= Decimal(price["worst_usd"])


async def test_who_asks_for_what_is_on_its_way_would_join(sandbox: Sandbox) -> None:
    held = {"sandbox": "tokens-5+slow-head-20s"}
    async with served(sandbox, LimitsOptions()) as service, leading(service, sandbox, **held):
        seen = await explained(service, orjson.loads(body_of(PRICED, **held)))
        assert (seen["result"]["would"], seen["result"]["cache"]) == ("join", "coalesced")
        assert seen["cache"]["in_flight"]


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        ({"model": CHAT, "prompt": "Once"}, "completion"),
        ({"model": CHAT, "input": ["a", "b"]}, "embedding"),
        ({"model": CHAT, "input": "a", "operation": "embedding"}, "embedding"),
        (chat(CHAT, prompt="as well"), "chat"),
    ],
)
async def test_an_operation_is_told_by_its_name_or_its_shape(sandbox: Sandbox, body: Any, operation: str) -> None:
    async with served(sandbox, LimitsOptions()) as service:
        seen = await explained(service, body)
        assert (seen["operation"], seen["result"]["would"]) == (operation, f"call {CHAT}")


@pytest.mark.parametrize("body", [{"model": CHAT}, chat(CHAT, operation="x"), chat(CHAT, n="two"), {"messages": []}])
async def test_what_is_no_request_is_refused_as_the_request_would_be(sandbox: Sandbox, body: Any) -> None:
    async with served(sandbox, LimitsOptions()) as service:
        answer = await ask(service.address, "POST", "/v1/explain", orjson.dumps(body))
        assert answer.status == 400
        if body.pop("operation", None) is None:
            asked = await ask(service.address, "POST", "/v1/chat/completions", orjson.dumps(body))
            assert answer.json()["error"] == asked.json()["error"]


async def test_a_key_sees_its_own_limits_and_those_of_everybody_an_admin_all(sandbox: Sandbox) -> None:
    limits = LimitsOptions(
        everybody=AllowanceOptions(requests_per_minute=100),
        per_key=AllowanceOptions(tokens_per_minute=50_000),
        per_provider={"plain": AllowanceOptions(concurrent_requests=7)},
    )
    async with served(sandbox, limits, guarded=True) as service:
        key = await a_key(service, scopes=["inference"])
        seen = await explained(service, chat(CHAT), None, **key)
        assert {one["scope"] for one in seen["limits"]["limits"]} == {"global", "key"}
        seen = await explained(service, chat(CHAT), None, **(await a_key(service, scopes=["inference", "admin"])))
        assert {one["scope"] for one in seen["limits"]["limits"]} == {"global", "key", "provider"}
        assert (await ask(service.address, "POST", "/v1/explain", b"{}")).status == 401
        reader = await a_key(service, scopes=["read"])
        assert (await ask(service.address, "POST", "/v1/explain", b"{}", **reader)).status == 403
        only = await a_key(service, scopes=["inference"], models=["two"])
        seen = await explained(service, chat(CHAT), None, **only)
        assert (said_by(seen), seen["route"]) == ("refuse model_not_allowed 403", [])


async def test_nothing_is_recorded(sandbox: Sandbox) -> None:
    async with served(sandbox, LimitsOptions(), guarded=True) as service:
        key = await a_key(service, scopes=["inference"])
        await explained(service, chat(CHAT), None, **key)
        usage = await ask(service.address, "GET", "/admin/usage", **ADMIN)
        assert usage.json()["data"] == []
        assert calls(sandbox) == []


async def test_a_deployment_that_is_left_alone_is_told_with_its_cause(sandbox: Sandbox) -> None:
    async with served(sandbox, LimitsOptions()) as service:
        for provider, model in (("plain", "sandbox/chat"), ("openrouter", "openai/gpt-4o-mini")):
            breaker = service.stores.breakers.of(Candidate(provider=provider, upstream_model=model))
            now = SystemClock().monotonic()
            breaker.heard_open(now, left_s=600, pause_s=600, opened_at=1_764_000_000, cause="it burns")
            seen = await explained(service, chat("two"))
            first, second = seen["route"][0]["deployments"]
            assert (first["obstacle"], first["why"], first["breaker"]) == (
                "breaker", "is left alone for now: it burns", {"state": "open", "since": "2025-11-24T16:00:00Z"},
            )  # fmt: skip
            would = "call openrouter/openai/gpt-4o-mini" if second["fits"] else "refuse no_deployment_available 503"
            assert said_by(seen) == would
            answer = await ask(service.address, "POST", "/v1/chat/completions", orjson.dumps(chat("two")))
            assert answer.status == (200 if second["fits"] else 503)
            if answer.status != 200:
                assert without_seconds(answer.json()["error"]) == without_seconds(seen["result"]["error"]["error"])
            await ask(service.address, "DELETE", "/admin/cache?all=true")
