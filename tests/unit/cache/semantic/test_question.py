"""Which requests ask a question that may be answered by likeness, and which are compared."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_service.cache import CacheOptions, CachePolicy, Question, SemanticOptions
from llm_service.domain import ApiKey, Body, Caller, Candidate, chat_request, completion_request

HERE = Candidate(provider="plain", upstream_model="small")
KEY = ApiKey(
    id="key_a", name="a", scopes=frozenset({"inference"}), created_at=datetime(2026, 1, 1, tzinfo=UTC),
    semantic_cache=True,
)  # fmt: skip
ON = CacheOptions(semantic=SemanticOptions(enabled=True))


def chat(text: Any = "What is the capital of France?", **fields: Any) -> Body:
    system = {"role": "system", "content": "Be brief."}
    return {"model": "fast", "messages": [system, {"role": "user", "content": text}], **fields}


def caller(key: ApiKey | None = KEY) -> Caller:
    return Caller(key_id="local" if key is None else key.id, scopes=frozenset({"inference"}), key=key)


def question(body: Body | None = None, options: CacheOptions = ON, **given: Any) -> Question | None:
    base_url = given.pop("base_url", "http://127.0.0.1:1/v1")
    policy = CachePolicy(
        options,
        ttls_s={},
        address=lambda candidate: (candidate.provider, base_url, candidate.upstream_model),
    )
    asked = {"candidates": (HERE,), "caller": caller(), "user": None, **given}
    plan = policy.plan(chat_request(body or chat()), **asked)
    assert plan is not None
    return plan.question


def bucket(body: Body | None = None, **given: Any) -> bytes:
    found = question(body, **given)
    assert found is not None
    return found.bucket


def test_a_question_is_the_text_of_the_last_message() -> None:
    found = question()
    assert found is not None
    assert found.text == "What is the capital of France?"
    assert question(chat([{"type": "text", "text": "Hi there"}])) is not None


@pytest.mark.parametrize(
    "body",
    [
        chat(tools=[{"type": "function", "function": {"name": "f"}}]),
        chat(tool_choice="none"),
        chat(functions=[{"name": "f"}]),
        chat(response_format={"type": "json_object"}),
        chat(response_format={"type": "text"}),
        chat(prediction={"type": "content", "content": "x"}),
        chat(logprobs=True),
        chat(""),
        chat(" \n"),
        chat(None),
        chat("x" * 513),
        chat([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]),
        chat([{"type": "text", "text": "cached", "cache_control": {"type": "ephemeral"}}]),
        chat([]),
        {"model": "fast", "messages": [{"role": "assistant", "content": "Paris"}]},
        {"model": "fast", "messages": [{"role": "system", "content": "Paris?"}]},
        {"model": "fast", "messages": [{"role": "tool", "content": "42", "tool_call_id": "1"}]},
    ],
    ids=str,
)
def test_other_requests_ask_no_question(body: Body) -> None:
    assert question(body) is None


def test_neither_do_text_completions() -> None:
    policy = CachePolicy(ON, ttls_s={}, address=lambda _: ("", "", ""))
    request = completion_request({"model": "fast", "prompt": "Hello"})
    plan = policy.plan(request, candidates=(HERE,), caller=caller(), user=None)
    assert plan is not None
    assert plan.question is None


@pytest.mark.parametrize("key", [None, replace(KEY, semantic_cache=False)])
def test_only_keys_that_allow_it_are_answered_by_likeness(key: ApiKey | None) -> None:
    assert question(caller=caller(key)) is None


def test_nothing_is_looked_for_where_it_is_off() -> None:
    assert question(options=CacheOptions()) is None
    assert CacheOptions().semantic.enabled is False
    assert CacheOptions().semantic.mode == "shadow"


def test_requests_that_differ_in_the_last_question_alone_are_compared() -> None:
    assert bucket(chat("What's the capital of France?", stream=True)) == bucket()


OTHERS: dict[str, dict[str, Any]] = {
    "another system prompt": {
        "body": {
            "model": "fast",
            "messages": [{"role": "system", "content": "Be long."}, {"role": "user", "content": "Hi"}],
        }
    },
    "no system prompt": {"body": {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}},
    "another form of the content": {"body": chat([{"type": "text", "text": "Hi"}])},
    "an earlier message": {
        "body": {**chat(), "messages": [{"role": "user", "content": "Hi"}, *chat()["messages"]]},
    },
    "a name": {
        "body": {
            "model": "fast",
            "messages": [chat()["messages"][0], {"role": "user", "content": "Hi", "name": "Ann"}],
        }
    },
    "another model": {"body": {**chat(), "model": "slow"}},
    "a field of the future": {"body": chat(mood="gentle")},
    "another parameter": {"body": chat(max_tokens=5)},
    "another temperature": {"body": chat(temperature=0.5)},
    "another key": {"caller": caller(replace(KEY, id="key_b"))},
    "a user": {"user": "ann"},
    "another deployment": {"candidates": (Candidate(provider="plain", upstream_model="large"),)},
    "another address": {"base_url": "http://127.0.0.1:2/v1"},
    "other filters": {"policy_version": "2"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_requests_that_differ_in_anything_else_are_never_compared(name: str) -> None:
    assert bucket(**OTHERS[name]) != bucket()


@pytest.mark.parametrize("scope", ["key", "user", "global"])
def test_neither_keys_nor_users_are_mixed_whoever_shares_exact_answers(scope: Any) -> None:
    options = replace(ON, scope=scope)
    other = replace(KEY, id="key_b")
    asked = [(KEY, None), (KEY, "ann"), (KEY, "bob"), (other, None), (other, "ann")]
    buckets = {bucket(options=options, caller=caller(key), user=user) for key, user in asked}
    assert len(buckets) == len(asked)
