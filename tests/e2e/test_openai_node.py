"""openai-node, unmodified: what its scripts in tests/clients/node tell is held against the provider's direct answer."""

import shutil
import time
from typing import Any

import orjson
import pytest

from llm_service.sandbox import Sandbox
from tests.support.node import SCRIPTS, line_of, node, told_by
from tests.support.rest import ask, chat_body
from tests.support.service import CREDENTIAL, Running
from tests.support.timed import within
from tests.support.waiting import until_answered

PATHS = {"openrouter": "/openrouter/api/v1", "deepseek": "/deepseek", "plain": "/openai/v1"}
MODELS = ("openrouter/openai/gpt-4o-mini", "deepseek/deepseek-flash", "plain/sandbox/chat")

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(not (SCRIPTS / "node_modules" / "openai").is_dir(), reason="openai-node is not installed"),
]


async def direct(sandbox: Sandbox, model: str, **other: Any) -> Any:
    """The provider's own whole answer, without the gateway."""
    provider, _, upstream_model = model.partition("/")
    body = chat_body(upstream_model, **other)
    path = f"{PATHS[provider]}/chat/completions"
    return (await ask(sandbox.address, "POST", path, body, Authorization=f"Bearer {CREDENTIAL}")).json()


async def test_whole_and_streamed_answers_are_the_providers(gateway: Running, sandbox: Sandbox) -> None:
    told = await told_by("chat.mjs", gateway.address, *MODELS)
    for model in MODELS:
        original = await direct(sandbox, model)
        choice, usage = original["choices"][0], original["usage"]
        whole, streamed = told[model]["whole"], told[model]["streamed"]
        assert whole["choices"][0]["message"]["content"] == streamed["content"] == choice["message"]["content"] != ""
        assert [whole["choices"][0]["finish_reason"]] == streamed["finish_reasons"] == [choice["finish_reason"]]
        counts = [(one["prompt_tokens"], one["completion_tokens"]) for one in (whole["usage"], *streamed["usages"])]
        assert counts == [(usage["prompt_tokens"], usage["completion_tokens"])] * 2
        assert streamed["chunks"] > 3


async def test_tool_calls_are_the_providers(gateway: Running, sandbox: Sandbox) -> None:
    told = await told_by("tools.mjs", gateway.address, *MODELS)
    for model in MODELS:
        original = await direct(sandbox, model, **told[model].pop("wanted"))
        choices = [answer["choices"][0] for answer in (original, *told[model].values())]
        calls = [[call["function"] for call in choice["message"]["tool_calls"]] for choice in choices]
        assert called(calls[0]) == called(calls[1]) == called(calls[2]) != []
        assert [choice["finish_reason"] for choice in choices] == ["tool_calls"] * 3


def called(functions: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(function["name"], function["arguments"]) for function in functions]


async def test_embeddings_and_models_work(gateway: Running, sandbox: Sandbox) -> None:
    told = await told_by("others.mjs", gateway.address, "plain/text-embedding-3-small")
    body = orjson.dumps({"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "float"})
    path = f"{PATHS['plain']}/embeddings"
    original = (await ask(sandbox.address, "POST", path, body, Authorization=f"Bearer {CREDENTIAL}")).json()["data"]
    assert [row["index"] for row in told["embeddings"]] == [0, 1]
    for row, own in zip(told["embeddings"], original, strict=True):
        assert row["embedding"] == pytest.approx(own["embedding"], abs=1e-6)
    assert {"deepseek/deepseek-flash", "openrouter/openai/gpt-4o-mini"} <= set(told["listed"])
    assert told["retrieved"] == told["listed"][0]


async def test_errors_are_the_clients_own_classes(gateway: Running) -> None:
    expected = {
        "nobody/sandbox/chat": ("NotFoundError", 404, "model_not_found"),
        "plain/sandbox/error-400-context": ("BadRequestError", 400, "context_length_exceeded"),
        "plain/sandbox/error-404": ("NotFoundError", 404, "model_not_found"),
        "plain/sandbox/error-429": ("RateLimitError", 429, "upstream_rate_limited"),
        "deepseek/sandbox-error-401": ("InternalServerError", 502, "upstream_auth_failed"),
        "openrouter/sandbox/error-402-credits": ("InternalServerError", 503, "upstream_no_balance"),
    }
    told = await told_by("errors.mjs", gateway.address, *expected)
    for model, (name, status, code) in expected.items():
        for error in told[model].values():
            assert (error["class"], error["status"], error["code"]) == (name, status, code)
            assert error["known"]
            assert error["requestID"].startswith("req_")


async def test_an_error_in_mid_stream_is_the_clients_own(gateway: Running) -> None:
    model = "plain/sandbox/reset-after-3"
    error = (await told_by("errors.mjs", gateway.address, model))[model]["streamed"]
    assert (error["known"], error["code"]) == (True, "stream_interrupted")
    assert error["chunks"] > 1


@pytest.mark.timed
async def test_a_client_that_aborts_ends_the_upstream_within_a_second(gateway: Running, sandbox: Sandbox) -> None:
    async def nothing_open() -> bool:
        return (await ask(sandbox.address, "GET", "/_stats")).json()["open"] == 0

    async with node("leave.mjs", gateway.address, "plain/sandbox/stall-after-3") as process:
        assert (await line_of(process))["chunks"] >= 3
        left_at = time.monotonic()
        await until_answered(nothing_open)
        within(time.monotonic() - left_at, 1.0)
        assert process.returncode is None
    assert [line["status"] for line in gateway.log.of("request")] == ["aborted"]
