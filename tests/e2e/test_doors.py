"""One suite, six doors: whatever is asked through any of them gets the same answer, at the same price."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from llm_service.sandbox import Sandbox
from tests.support.doors import STREAMING, Door, Options, StreamingDoor, Tokens, chat
from tests.support.doors.asks import (
    ASKS,
    DEEPSEEK,
    MODELS,
    OPENROUTER,
    PLAIN,
    REFERENCE,
    each_door,
    each_streaming,
    said,
)
from tests.support.service import Running, running
from tests.support.shared_answers import record_of, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
REFUSED = {(DEEPSEEK, "several answers"), (DEEPSEEK, "json by a schema")}
"""What a provider cannot do."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(seed=0, pace_s=0.0)
    await sandbox.start()
    yield sandbox
    await sandbox.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    """One for all tests here: none of them depends on what was asked before."""
    async with running(settings_for(sandbox)) as service:
        yield service


# -- answers


@each_door
@pytest.mark.parametrize("asked", ASKS)
async def test_the_same_request_has_the_same_answer_through_every_door(
    service: Running, door: Door, asked: str
) -> None:
    for model in MODELS:
        body = chat(model, **ASKS[asked])
        expected, told = [await one.ask(service.address, body) for one in (REFERENCE, door)]
        assert told.answer == expected.answer
        assert (told.failure is None) == ((model, asked) not in REFUSED)
        if told.failure is None:
            assert told.cache == expected.cache == "bypass"
            assert all(choice.finish_reason for choice in told.choices.values())
            assert all(call.id for call in told.tool_calls)


async def test_the_answers_have_what_they_were_asked_for(service: Running) -> None:
    """What all doors could agree on leaving out."""
    answers = {name: await said(service, REFERENCE, chat(PLAIN, **asked)) for name, asked in ASKS.items()}
    assert len(answers["long text"].text) > 1_000
    assert not answers["text split inside characters"].text.isascii()
    assert [call.name for call in answers["tool calls"].tool_calls] == ["get_weather", "get_time"]
    assert [call.name for call in answers["a chosen tool"].tool_calls] == ["get_time"]
    assert answers["reasoning"].reasoning
    assert answers["thought and call"].reasoning
    assert answers["thought and call"].tool_calls
    assert sorted(answers["several answers"].choices) == [0, 1]
    assert answers["json"].text.startswith("{")
    assert answers["cut short"].finish_reason == "length"
    assert answers["filtered"].finish_reason == "content_filter"


@each_streaming
async def test_events_are_numbered_from_one_on_and_carry_the_provider_s_chunks(
    service: Running, streaming: StreamingDoor
) -> None:
    body = chat(OPENROUTER, sandbox="thinking+tokens-40")
    expected, told = [await said(service, one, body) for one in (STREAMING[0], streaming)]
    assert [piece.seq for piece in told.pieces or ()] == list(range(1, len(told.pieces or ()) + 1))
    assert [piece.cursor for piece in told.pieces or ()] == [
        f"{told.stream_id}.{piece.seq}" for piece in told.pieces or ()
    ]
    assert list(map(without_ids, told.pieces or ())) == list(map(without_ids, expected.pieces or ()))


def without_ids(piece: Any) -> Any:
    return {name: value for name, value in piece.raw.items() if name not in ("id", "created")}


# -- money and records


@each_door
@pytest.mark.parametrize(
    ("model", "source"), [(OPENROUTER, "provider"), (DEEPSEEK, "catalog"), (PLAIN, "none")], ids=lambda one: one[:10]
)
async def test_usage_and_cost_are_those_of_the_record(service: Running, door: Door, model: str, source: str) -> None:
    options = Options(user="anna", tags={"team": "search", "env": "prod"}, timeout_s=30)
    told = await said(service, door, chat(model, sandbox="tokens-33+cached-4+thinking"), options)
    record = await record_of(service, told.request_id or "")
    assert told.usage == Tokens(
        record["input_tokens"],
        record["output_tokens"],
        record["cached_input_tokens"],
        record["reasoning_tokens"],
    )
    assert record["output_tokens"] >= 33
    assert Decimal(told.cost_usd or "0") == Decimal(record["cost_usd"])
    assert told.cost_source == record["cost_source"] == source
    assert (Decimal(record["cost_usd"]) > 0) == (source != "none")
    assert (record["surface"], record["user"], record["tags"]) == (door.surface, "anna", options.tags)
    assert (told.provider, told.model) == (record["provider"], record["upstream_model"])
    assert (told.attempts, told.cache, told.stream_id) == (record["attempts"], record["cache"], record["stream_id"])
    assert record["status"] == "ok"
    assert record["model"] == model


# -- errors


UPSTREAM: Mapping[str, tuple[str, str]] = {
    "error-400-context": (PLAIN, "context_length_exceeded"),
    "error-401": (DEEPSEEK, "upstream_auth_failed"),
    "error-402": (DEEPSEEK, "upstream_no_balance"),
    "error-429+retry-after-7": (DEEPSEEK, "upstream_rate_limited"),
    "error-500": (DEEPSEEK, "upstream_error"),
    "error-503": (OPENROUTER, "upstream_error"),
    "error-in-200-429": (OPENROUTER, "upstream_rate_limited"),
    "drop": (PLAIN, "upstream_error"),
}


@each_door
@pytest.mark.parametrize("behaviour", UPSTREAM)
async def test_a_failure_of_the_upstream_is_the_same_error_through_every_door(
    service: Running, door: Door, behaviour: str
) -> None:
    model, code = UPSTREAM[behaviour]
    expected, told = [await one.ask(service.address, chat(model, sandbox=behaviour)) for one in (REFERENCE, door)]
    assert told.failure is not None
    assert expected.failure is not None
    assert told.code == code
    assert told.failure == replace(expected.failure, retry_after_s=told.failure.retry_after_s)
    assert (told.failure.retry_after_s is None) == (expected.failure.retry_after_s is None)
    if behaviour.endswith("retry-after-7"):
        assert told.failure.retry_after_s == pytest.approx(7, abs=1)
    assert (await record_of(service, told.request_id or ""))["error_code"] == told.code


@each_streaming
@pytest.mark.parametrize(
    "behaviour",
    ["error-mid-documented", "error-mid-429", "cut-after-3", "end-after-3", "cut-utf8-3", "reset-after-3", "not-json"],
)
async def test_a_stream_that_breaks_ends_with_the_error_and_never_just_ends(
    service: Running, streaming: StreamingDoor, behaviour: str
) -> None:
    body = chat(PLAIN, sandbox=behaviour)
    expected, told = [await one.ask(service.address, body) for one in (STREAMING[0], streaming)]
    assert told.failure == expected.failure
    assert told.failure is not None
    assert [piece.choices for piece in told.pieces or ()] == [piece.choices for piece in expected.pieces or ()] != []
    assert (await record_of(service, told.request_id or ""))["error_code"] == told.code


@each_door
@pytest.mark.parametrize("behaviour", ["stall-head", "stall-after-2"])
async def test_the_client_s_deadline_ends_it(service: Running, sandbox: Sandbox, door: Door, behaviour: str) -> None:
    options = Options(timeout_s=0.15)
    told = await door.ask(service.address, chat(PLAIN, sandbox=behaviour), options=options)
    assert told.code == "deadline_exceeded"
    record = await record_of(service, told.request_id or "")
    assert (record["status"], record["error_code"]) == ("error", "deadline_exceeded")


MISTAKES: Mapping[str, tuple[Mapping[str, Any], str, str | None]] = {
    "no messages": ({"messages": []}, "invalid_value", "messages"),
    "temperature": ({"temperature": 9.5}, "invalid_value", "temperature"),
    "max_tokens": ({"max_tokens": 0}, "invalid_value", "max_tokens"),
    "n": ({"n": 0}, "invalid_value", "n"),
    "empty model": ({"model": ""}, "invalid_value", "model"),
    "top_logprobs": ({"top_logprobs": 21}, "invalid_value", "top_logprobs"),
    "unknown model": ({"model": "nobody/sandbox/chat/x"}, "model_not_found", None),
    "a stranger to the provider": ({"model": "openrouter/nobody/none"}, "model_not_found", None),
}


@each_door
@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_of_the_client_names_the_field(service: Running, door: Door, mistake: str) -> None:
    fields, code, param = MISTAKES[mistake]
    expected, told = [await one.ask(service.address, {**chat(PLAIN), **fields}) for one in (REFERENCE, door)]
    assert told.failure == expected.failure
    assert told.failure is not None
    assert (told.failure.code, told.failure.param, told.failure.type) == (code, param, "invalid_request_error")
