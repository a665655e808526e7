"""What is OpenRouter's own: shapes, routing, records."""

from typing import Any

import pytest

from llm_service.sandbox import Sandbox
from tests.support.clock import ManualClock
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import OPENROUTER, chat, connected, eventually, exchange, get, post

API = "/openrouter/api/v1"
CHUNK_KEYS = {"id", "object", "created", "model", "provider", "choices"}
USAGE_KEYS = {
    "prompt_tokens", "completion_tokens", "total_tokens", "cost", "is_byok", "prompt_tokens_details", "cost_details",
    "completion_tokens_details",
}  # fmt: skip


async def answered(ask: Ask, model: str = "openai/gpt-4o-mini", **fields: Any) -> Any:
    return (await ask(post(OPENROUTER, chat(model, **fields)))).json()


async def test_whole_answer_has_the_recorded_keys(ask: Ask) -> None:
    body = await answered(ask)
    assert set(body) == CHUNK_KEYS | {"system_fingerprint", "service_tier", "usage"}
    assert set(body["choices"][0]) == {"index", "message", "logprobs", "finish_reason", "native_finish_reason"}
    assert set(body["choices"][0]["message"]) == {"role", "content", "refusal", "reasoning"}
    assert set(body["usage"]) == USAGE_KEYS
    assert (body["choices"][0]["native_finish_reason"], body["provider"]) == ("completed", "OpenAI")


async def test_chunks_have_the_recorded_keys(ask: Ask) -> None:
    *chunks, last = (await ask(post(OPENROUTER, chat("openai/gpt-4o-mini", stream=True)))).objects
    for chunk in chunks:
        assert set(chunk) == CHUNK_KEYS
        assert chunk["choices"][0]["delta"]["role"] == "assistant"
        assert "content" in chunk["choices"][0]["delta"]
    assert set(last) == CHUNK_KEYS | {"service_tier", "usage"}


async def test_headers_name_the_generation_and_the_provider(ask: Ask) -> None:
    received = await ask(post(OPENROUTER, chat("openai/gpt-4o-mini")))
    assert received.headers["x-generation-id"] == received.json()["id"]
    assert received.headers["x-provider-name"] == "OpenAI"
    assert not any("ratelimit" in name for name in received.headers)
    assert received.json()["id"].startswith(f"gen-{received.json()['created']}-")


@pytest.mark.parametrize(
    ("model", "served"),
    [
        ("openai/gpt-5-mini", "openai/gpt-5-mini-2025-08-07"),
        ("openai/gpt-4o-mini:nitro", "openai/gpt-4o-mini"),
        ("anthropic/claude-haiku-4.5@preset/terse", "anthropic/claude-haiku-4.5"),
        ("~anthropic/claude-sonnet-latest", "anthropic/claude-sonnet-4.5"),
        ("openrouter/auto", "deepseek/deepseek-v4-flash"),
        ("openrouter/free", "minimax/minimax-m2:free"),
        ("sandbox/anything", "sandbox/anything"),
    ],
)
async def test_answer_names_what_served(ask: Ask, model: str, served: str) -> None:
    assert (await answered(ask, model))["model"] == served


@pytest.mark.parametrize("model", ["openai/gpt-4o:free", "openai/gpt-4o:unheard", "gpt-4o", "openai/"])
async def test_names_that_are_none(ask: Ask, model: str) -> None:
    assert (await answered(ask, model))["error"] == {"message": f"{model} is not a valid model ID", "code": 400}


async def test_missing_model_means_the_default(ask: Ask) -> None:
    body = chat("")
    del body["model"]
    assert (await ask(post(OPENROUTER, body))).json()["model"] == "openai/gpt-4o-mini"


async def test_next_model_serves_when_the_first_fails(ask: Ask) -> None:
    body = await answered(ask, "sandbox/error-503", models=["no/such", "openai/gpt-4o"])
    assert body["model"] == "openai/gpt-4o"


async def test_first_error_is_told_when_all_models_fail(ask: Ask) -> None:
    received = await ask(post(OPENROUTER, chat("sandbox/error-503", models=["sandbox/error-429"])))
    assert received.status == 503


@pytest.mark.parametrize(
    ("routing", "provider"),
    [
        ({}, "Anthropic"),
        ({"order": ["google-vertex", "anthropic"]}, "Google"),
        ({"only": ["amazon-bedrock"]}, "Amazon Bedrock"),
        ({"ignore": ["anthropic", "google-vertex"]}, "Amazon Bedrock"),
        ({"order": ["openai"]}, "Anthropic"),
    ],
)
async def test_routing_object_picks_the_provider(ask: Ask, routing: Any, provider: str) -> None:
    assert (await answered(ask, "anthropic/claude-sonnet-4.5", provider=routing))["provider"] == provider


@pytest.mark.parametrize(
    ("model", "routing", "code"),
    [
        ("openai/gpt-4o", {"only": ["anthropic"]}, "constraint_filtered"),
        ("openai/gpt-4o", {"order": ["anthropic"], "allow_fallbacks": False}, "constraint_filtered"),
        ("minimax/minimax-m2:free", {"data_collection": "deny"}, "privacy_restricted"),
        ("mistralai/mistral-small", {"require_parameters": True}, "constraint_filtered"),
    ],
)
async def test_routing_object_may_leave_nobody(ask: Ask, model: str, routing: Any, code: str) -> None:
    received = await ask(post(OPENROUTER, chat(model, provider=routing, logprobs=False)))
    assert received.status == 404
    assert received.json()["error"]["availability"]["code"] == code


async def test_context_window_is_kept(ask: Ask) -> None:
    error = (await answered(ask, "openai/gpt-4o-mini", max_tokens=200_000))["error"]
    assert "maximum context length is 128000 tokens" in error["message"]
    assert "200000 in the output" in error["message"]


async def test_poor_key_gets_what_it_can_afford(ask: Ask) -> None:
    body = chat("openai/gpt-4o-mini", max_tokens=3395)
    assert (await ask(post(OPENROUTER, body, key="sk-poor"))).status == 200


async def test_metadata_when_asked_for(ask: Ask) -> None:
    headers = {"X-OpenRouter-Metadata": "enabled"}
    whole = (await ask(post(OPENROUTER, chat("openai/gpt-4o"), headers=headers))).json()
    last = (await ask(post(OPENROUTER, chat("openai/gpt-4o", stream=True), headers=headers))).objects[-1]
    assert whole["openrouter_metadata"]["requested"] == "openai/gpt-4o"
    assert last["openrouter_metadata"]["endpoints"]["total"] == 1


# Reasoning.


@pytest.mark.parametrize(
    ("model", "fields", "thinks"),
    [
        ("deepseek/deepseek-v4-flash", {}, False),
        ("deepseek/deepseek-v4-flash", {"reasoning": {"effort": "high"}}, True),
        ("deepseek/deepseek-v4-flash", {"reasoning_effort": "low"}, True),
        ("deepseek/deepseek-v4-flash:thinking", {}, True),
        ("deepseek/deepseek-v4-pro", {}, True),
        ("deepseek/deepseek-v4-pro", {"reasoning": {"enabled": False}}, False),
        ("deepseek/deepseek-v4-pro", {"reasoning": {"effort": "none"}}, False),
        ("openai/gpt-4o", {"reasoning": {"effort": "high"}}, False),
    ],
)
async def test_who_thinks(ask: Ask, model: str, fields: Any, thinks: bool) -> None:
    body = await answered(ask, model, **fields)
    assert bool(body["choices"][0]["message"]["reasoning"]) == thinks
    assert bool(body["usage"]["completion_tokens_details"]["reasoning_tokens"]) == thinks


@pytest.mark.parametrize("model", ["deepseek/deepseek-v4-pro", "openai/gpt-5-mini", "anthropic/claude-haiku-4.5"])
async def test_excluded_thoughts_are_counted_but_not_shown(ask: Ask, sandbox: Sandbox, model: str) -> None:
    body = chat(model, reasoning={"exclude": True})
    whole = (await ask(post(OPENROUTER, body))).json()
    streamed = await ask(post(OPENROUTER, {**body, "stream": True}))
    assert whole["choices"][0]["message"]["reasoning"] is None
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert b"reasoning_details" not in streamed.body
    first, second = sandbox.requests()
    assert first["usage"] == second["usage"]


@pytest.mark.parametrize(
    ("model", "types"),
    [
        ("deepseek/deepseek-v4-pro", {"reasoning.text"}),
        ("openai/gpt-5-mini", {"reasoning.summary", "reasoning.encrypted"}),
        ("anthropic/claude-haiku-4.5", {"reasoning.text"}),
    ],
)
async def test_streamed_details_add_up_to_the_reasoning(ask: Ask, model: str, types: set[str]) -> None:
    body = chat(model, reasoning={"enabled": True}, stream=True)
    deltas = [chunk["choices"][0]["delta"] for chunk in (await ask(post(OPENROUTER, body))).objects]
    details = [detail for delta in deltas for detail in delta.get("reasoning_details", [])]
    reasoning = "".join(delta.get("reasoning") or "" for delta in deltas)
    assert "".join(detail.get("text") or detail.get("summary") or "" for detail in details) == reasoning
    assert {detail["type"] for detail in details} == types


async def test_claude_signs_its_thoughts(ask: Ask) -> None:
    body = chat("anthropic/claude-haiku-4.5", reasoning={"max_tokens": 1024})
    whole = (await ask(post(OPENROUTER, body))).json()["choices"][0]["message"]["reasoning_details"]
    deltas = [chunk["choices"][0]["delta"] for chunk in (await ask(post(OPENROUTER, {**body, "stream": True}))).objects]
    closing = [detail for delta in deltas for detail in delta.get("reasoning_details", []) if "signature" in detail]
    assert len(whole) == len(closing) == 1
    assert "text" not in closing[0]


# Records.


async def test_generation_record_agrees_with_the_answer(ask: Ask) -> None:
    answer = await answered(ask, "deepseek/deepseek-v4-pro")
    record = (await ask(get(f"{API}/generation?id={answer['id']}"))).json()["data"]
    assert record["total_cost"] == answer["usage"]["cost"]
    assert record["native_tokens_completion"] == answer["usage"]["completion_tokens"]
    assert record["native_tokens_reasoning"] == answer["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert (record["cancelled"], record["streamed"], record["provider_name"]) == (False, False, "DeepSeek")


async def test_generation_record_appears_later_when_asked_so(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    answer = (await exchange(slow_sandbox.address, post(OPENROUTER, chat("sandbox/generation-after-2s")))).json()
    ask_record = get(f"{API}/generation?id={answer['id']}")
    early = await exchange(slow_sandbox.address, ask_record)
    clock.advance(2.5)
    late = await exchange(slow_sandbox.address, ask_record)
    assert (early.status, early.json()["error"]["code"]) == (404, 404)
    assert late.json()["data"]["id"] == answer["id"]


async def test_cancelled_generation_costs_what_was_made(slow_sandbox: Sandbox) -> None:
    async with connected(slow_sandbox.address) as client:
        body = chat("sandbox/pace-60s+tokens-50", stream=True)
        received = await client.exchange(post(OPENROUTER, body), at_most=400)
    await eventually(lambda: slow_sandbox.stats()["open"] == 0)
    generation = received.headers["x-generation-id"]
    record = (await exchange(slow_sandbox.address, get(f"{API}/generation?id={generation}"))).json()["data"]
    assert (record["cancelled"], record["native_tokens_completion"], record["finish_reason"]) == (True, 1, None)
    assert record["total_cost"] > 0


async def test_unknown_generation_is_404(ask: Ask) -> None:
    assert (await ask(get(f"{API}/generation?id=gen-1-x"))).status == 404


async def test_key_record(ask: Ask) -> None:
    data = (await ask(get(f"{API}/key", key="sk-or-v1-0123456789abcdef"))).json()["data"]
    assert data["label"] == "sk-or-v1-012...cdef"
    assert data["limit_remaining"] == 74.5
    assert (await ask(get(f"{API}/key", key="sk-bad"))).status == 401


async def test_credits_are_for_management_keys(ask: Ask) -> None:
    assert (await ask(get(f"{API}/credits"))).status == 403
    data = (await ask(get(f"{API}/credits", key="sk-or-mgmt-1"))).json()["data"]
    assert data == {"total_credits": 100.5, "total_usage": 25.75}


async def test_catalogue_lists_a_dozen_models_with_string_prices(ask: Ask) -> None:
    body = (await ask(get(f"{API}/models", key=None))).json()
    assert len(body["data"]) == body["total_count"] > 12
    for model in body["data"]:
        assert {type(model["pricing"][name]) for name in ("prompt", "completion")} == {str}
        assert isinstance(model["context_length"], int)
        assert model["supported_parameters"]
    assert {model["id"] for model in body["data"]} >= {"deepseek/deepseek-v4-flash", "openrouter/auto"}


async def test_catalogue_has_peak_prices_and_pages(ask: Ask) -> None:
    (flash,) = (await ask(get(f"{API}/models?q=V4%20Flash"))).json()["data"]
    assert flash["pricing"]["overrides"][0]["prompt"] == "0.0000003"
    page = (await ask(get(f"{API}/models?offset=2&limit=3"))).json()
    assert len(page["data"]) == 3
    assert "offset=5" in page["links"]["next"]


async def test_catalogue_can_be_filtered_by_parameter(ask: Ask) -> None:
    listed = (await ask(get(f"{API}/models?supported_parameters=reasoning"))).json()["data"]
    assert 0 < len(listed) < 12
    assert all("reasoning" in model["supported_parameters"] for model in listed)


async def test_one_model_and_its_endpoints(ask: Ask) -> None:
    model = (await ask(get(f"{API}/model/anthropic/claude-sonnet-4.5"))).json()["data"]
    data = (await ask(get(f"{API}/models/anthropic/claude-sonnet-4.5/endpoints"))).json()["data"]
    assert model["id"] == data["id"] == "anthropic/claude-sonnet-4.5"
    assert [endpoint["tag"] for endpoint in data["endpoints"]] == ["anthropic", "amazon-bedrock", "google-vertex"]
    assert (await ask(get(f"{API}/models/no/such/endpoints"))).status == 404


async def test_other_lists(ask: Ask) -> None:
    assert (await ask(get(f"{API}/models/count"))).json()["data"]["count"] >= 12
    assert (await ask(get(f"{API}/embeddings/models"))).json()["total_count"] == 2
    providers = (await ask(get(f"{API}/providers", key=None))).json()["data"]
    assert {"name": "DeepSeek", "slug": "deepseek"}.items() <= next(
        provider for provider in providers if provider["slug"] == "deepseek"
    ).items()


async def test_legacy_completions(ask: Ask) -> None:
    body = {"model": "openai/gpt-4o-mini", "prompt": "echo: once upon a time"}
    whole = (await ask(post(f"{API}/completions", body))).json()
    chunks = (await ask(post(f"{API}/completions", {**body, "stream": True}))).objects
    assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", "once upon a time")
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "once upon a time"
    assert chunks[-1]["choices"][0]["native_finish_reason"] == "completed"


async def test_embeddings_carry_cost_and_provider(ask: Ask) -> None:
    body = {"model": "openai/text-embedding-3-small", "input": ["x" * 400, "y"]}
    answer = (await ask(post(f"{API}/embeddings", body))).json()
    assert (answer["provider"], answer["usage"]["prompt_tokens"]) == ("OpenAI", 101)
    assert answer["usage"]["cost"] == pytest.approx(101 * 2e-8)
    assert [item["index"] for item in answer["data"]] == [0, 1]
    assert answer["id"].startswith("gen-emb-")
