"""Whole answers, errors, model lists, accounts and records, each as its transcript says, or as far as one can tell."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest

from llm_service.domain import CallerError, LLMServiceError, ModelInfo, UpstreamError
from llm_service.providers.base import Account
from tests.support.transcripts import FOLDER, Transcript, transcripts

_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")


def named(transcript: Transcript) -> str:
    return transcript.name


def own(*forms: Any) -> list[Transcript]:
    return [one for one in transcripts(*forms) if one.expected]


def said(told: Any) -> Any:
    """Values as a transcript writes them down."""
    return format(told, "f") if isinstance(told, Decimal) else told


def assert_error(error: LLMServiceError, told: Mapping[str, Any]) -> None:
    assert type(error).__name__ == told["type"]
    assert error.retryable is told["retryable"]
    assert error.retry_after_s == told["retry_after_s"]
    assert error.param == told["param"]
    assert told.get("says", "") in error.message


@pytest.mark.parametrize("transcript", own("error"), ids=named)
def test_error_is_the_one_that_its_transcript_says(transcript: Transcript) -> None:
    error = transcript.dialect.error(transcript.status, transcript.headers, transcript.body)
    assert_error(error, transcript.expected["error"])


@pytest.mark.parametrize("transcript", transcripts("error"), ids=named)
def test_error_message_is_one_clean_line_and_upstreams_own_for_caller_faults_alone(transcript: Transcript) -> None:
    error = transcript.dialect.error(transcript.status, transcript.headers, transcript.body)
    assert 0 < len(error.message) <= 500
    assert error.message.isprintable()
    assert isinstance(error, CallerError) or str(transcript.status) in error.message


@pytest.mark.parametrize("transcript", own("answer"), ids=named)
def test_answer_is_the_one_that_its_transcript_says(transcript: Transcript) -> None:
    expected = transcript.expected
    if "error" in expected:
        with pytest.raises(LLMServiceError) as raised:
            transcript.dialect.answer(transcript.body, transcript.call)
        assert_error(raised.value, expected["error"])
        assert_billed(raised.value, expected)
        return
    answer = transcript.dialect.answer(transcript.body, transcript.call)
    outcome = answer.outcome
    assert {name: getattr(outcome.usage, name) for name in _COUNTS} == expected["usage"]
    assert (said(outcome.cost.usd) if outcome.cost else None) == expected["cost_usd"]
    assert outcome.finish_reason == expected.get("finish_reason")
    if "content" in expected:
        assert_message(json.loads(answer.raw)["choices"][0], expected)


def assert_billed(error: LLMServiceError, expected: Mapping[str, Any]) -> None:
    assert isinstance(error, UpstreamError)
    usage = error.usage and {name: getattr(error.usage, name) for name in _COUNTS}
    assert usage == expected.get("usage")
    assert (error.cost and said(error.cost.usd)) == expected.get("cost_usd")


def assert_message(choice: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    message = choice.get("message", {})
    assert (message.get("content", choice.get("text")) or "") == expected["content"]
    assert (message.get("reasoning") or message.get("reasoning_content") or "") == expected["reasoning"]
    assert message.get("reasoning_details", []) == expected.get("reasoning_details", [])
    assert choice["finish_reason"] == expected["finish_reason"]
    calls = [{"id": call["id"], **call["function"]} for call in message.get("tool_calls", [])]
    assert calls == expected["tool_calls"]
    assert message.get("tool_calls", [None]), "absent rather than empty"


UNTOUCHED = ["openrouter/chat", "openrouter/chat-reasoning", "deepseek/chat-tool-call", "openai/chat", "deepseek/fim"]


@pytest.mark.parametrize("transcript", [one for one in own("answer") if one.name in UNTOUCHED], ids=named)
def test_answer_in_good_form_keeps_its_bytes(transcript: Transcript) -> None:
    assert transcript.dialect.answer(transcript.body, transcript.call).raw == transcript.body.strip()


@pytest.mark.parametrize("transcript", own("models"), ids=named)
def test_models_are_those_that_their_transcript_says(transcript: Transcript) -> None:
    assert [model_said(model) for model in transcript.dialect.models(transcript.body)] == transcript.expected["models"]


def model_said(model: ModelInfo) -> dict[str, Any]:
    names = ("id", "owned_by", "created", "context_tokens", "max_output_tokens")
    prices = ("input_usd", "output_usd", "cached_input_usd")
    amounts = {name: model.price and getattr(model.price, name) for name in prices}
    return {
        **{name: getattr(model, name) for name in names},
        **{name: None if amount is None else f"{amount.normalize():f}" for name, amount in amounts.items()},
    }


@pytest.mark.parametrize("transcript", own("account"), ids=named)
def test_account_is_as_its_transcript_says(transcript: Transcript) -> None:
    bodies = [transcript.body]
    if before := transcript.expected.get("account_after"):
        bodies.insert(0, (FOLDER / transcript.server / before / "reply.json").read_bytes())
    assert account_said(transcript.dialect.account(bodies)) == transcript.expected["account"]


def account_said(account: Account) -> dict[str, Any]:
    names = ("usable", "balance", "currency", "limit_remaining_usd")
    return {name: said(getattr(account, name)) for name in names}


@pytest.mark.parametrize("transcript", own("generation"), ids=named)
def test_generation_record_is_as_its_transcript_says(transcript: Transcript) -> None:
    record = transcript.dialect.generation(transcript.body)
    assert {name: said(value) for name, value in asdict(record).items()} == transcript.expected["generation"]


@pytest.mark.parametrize("transcript", transcripts("answer"), ids=named)
def test_answer_loses_no_choice_and_no_failure_passes_for_one(transcript: Transcript) -> None:
    told = json.loads(transcript.body) if transcript.body.strip() else {}
    broken = not told or "error" in told or any("error" in one for one in told.get("choices", []))
    broken = broken or any(one["finish_reason"] == "insufficient_system_resource" for one in told.get("choices", []))
    try:
        answer = transcript.dialect.answer(transcript.body, transcript.call)
    except UpstreamError:
        assert broken
        return
    assert not broken
    assert answer.outcome.usage is not None
    assert answer.outcome.usage.input_tokens == told["usage"]["prompt_tokens"]
    mended = json.loads(answer.raw)
    assert len(mended.get("choices", [])) == len(told.get("choices", []))


@pytest.mark.parametrize("transcript", transcripts("models"), ids=named)
def test_model_list_is_read_whole(transcript: Transcript) -> None:
    told = json.loads(transcript.body)
    ids = [entry["id"].removeprefix("models/") for entry in (told if isinstance(told, list) else told["data"])]
    assert [model.id for model in transcript.dialect.models(transcript.body)] == ids
