"""DeepSeek: thinking in all its spellings, messages, beta addresses, what is dropped and what is refused."""

import re
from typing import Any

import pytest

from llm_service.domain import InvalidValue, UpstreamInvalidResponse
from llm_service.providers import Dialect, ProviderOptions, dialect_for
from llm_service.providers.base import UpstreamRequest
from tests.support.clock import ManualClock
from tests.support.transcripts import a_call

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def a_dialect(base_url: str = "https://api.deepseek.com") -> Dialect:
    return dialect_for("deepseek", ProviderOptions(base_url=base_url), ManualClock())


def sent(operation: str = "chat", *, model: str = "deepseek-flash", **fields: Any) -> UpstreamRequest:
    return a_dialect().request(a_call(operation, model=model, **fields))


def messages(*told: dict[str, Any], **fields: Any) -> Any:
    return sent(messages=list(told), **fields).body["messages"]


@pytest.mark.parametrize(
    ("model", "fields", "thinking", "effort"),
    [
        ("deepseek-flash", {}, None, None),
        ("deepseek-chat", {}, "disabled", None),
        ("deepseek-reasoner", {}, "enabled", None),
        ("deepseek-chat", {"thinking": {"type": "enabled"}}, "enabled", None),
        ("deepseek-chat", {"reasoning_effort": "high"}, "enabled", "high"),
        ("deepseek-flash", {"reasoning_effort": "minimal"}, "enabled", "low"),
        ("deepseek-flash", {"reasoning_effort": "medium"}, "enabled", "high"),
        ("deepseek-flash", {"reasoning_effort": "xhigh"}, "enabled", "high"),
        ("deepseek-flash", {"reasoning_effort": "max"}, "enabled", "max"),
        ("deepseek-flash", {"reasoning_effort": "none"}, "disabled", None),
        ("deepseek-flash", {"reasoning": {"effort": "low"}}, "enabled", "low"),
        ("deepseek-flash", {"reasoning": {"effort": "none"}}, "disabled", None),
        ("deepseek-flash", {"reasoning": {"enabled": False}}, "disabled", None),
        ("deepseek-chat", {"reasoning": {"enabled": True, "max_tokens": 100}}, "enabled", None),
        ("deepseek-flash", {"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, "disabled", None),
    ],
)
def test_every_wish_to_think_or_not_becomes_thinking(
    model: str, fields: dict[str, Any], thinking: str | None, effort: str | None
) -> None:
    body = sent(model=model, **fields).body
    assert body.get("thinking") == (thinking and {"type": thinking})
    assert body.get("reasoning_effort") == effort
    assert body["model"] == "deepseek-flash"
    assert "reasoning" not in body


def test_output_cap_has_deepseeks_name() -> None:
    body = sent(max_tokens=7, max_completion_tokens=5).body
    assert (body["max_tokens"], "max_completion_tokens" in body) == (5, False)


def test_hints_that_deepseek_lacks_are_dropped() -> None:
    hints: dict[str, Any] = {
        "seed": 1,
        "logit_bias": {"1": 2},
        "parallel_tool_calls": True,
        "metadata": {"a": "b"},
        "store": True,
        "service_tier": "auto",
        "prediction": {},
        "modalities": ["text"],
        "n": 1,
        "verbosity": "low",
    }
    assert not sent(**hints).body.keys() & hints.keys()


def test_end_user_is_known_by_a_hash() -> None:
    body = sent(user="ann@example.org").body
    assert "user" not in body
    assert re.fullmatch("[0-9a-f]{64}", body["user_id"])
    assert body["user_id"] == sent(user="ann@example.org").body["user_id"]
    assert sent(user="ann", user_id="own").body["user_id"] == "own"


@pytest.mark.parametrize(
    ("operation", "fields", "param"),
    [
        ("chat", {"n": 2}, "n"),
        ("chat", {"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.type"),
        ("chat", {"modalities": ["text", "audio"]}, "modalities"),
        ("chat", {"audio": {"voice": "a"}}, "audio"),
        ("chat", {"web_search_options": {"a": 1}}, "web_search_options"),
        ("chat", {"functions": [{"name": "f"}]}, "functions"),
        ("chat", {"tools": [TOOL, {"type": "custom", "custom": {"name": "f"}}]}, "tools[1].type"),
        ("chat", {"tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ("chat", {"messages": [USER, {"role": "function", "content": "1"}]}, "messages[1].role"),
        ("chat", {"messages": [{"role": "system", "content": [IMAGE]}]}, "messages[0].content[0]"),
        *(
            ("chat", {"messages": [USER, {"role": "assistant", "content": "a", name: 5}]}, f"messages[1].{name}")
            for name in ("reasoning", "reasoning_content")
        ),
        ("chat", {"reasoning": 5}, "reasoning"),
        ("chat", {"reasoning": []}, "reasoning"),
        ("chat", {"reasoning": "high"}, "reasoning"),
        ("chat", {"reasoning": {"enabled": "x"}}, "reasoning.enabled"),
        ("chat", {"reasoning": {"enabled": 0}}, "reasoning.enabled"),
        ("chat", {"reasoning": {"effort": 5}}, "reasoning.effort"),
        ("chat", {"reasoning": {"effort": []}}, "reasoning.effort"),
        ("completion", {"reasoning_effort": 5}, "reasoning_effort"),
        ("completion", {"prompt": ["a", "b"]}, "prompt"),
        ("completion", {"prompt": [1, 2]}, "prompt"),
        ("completion", {"best_of": 2}, "best_of"),
        ("embedding", {}, "model"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(operation: str, fields: Any, param: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        sent(operation, **fields)
    assert raised.value.param == param
    assert "DeepSeek" in raised.value.message


def test_nulls_in_what_is_translated_are_as_if_they_were_not_there() -> None:
    assert "thinking" not in sent(reasoning={"enabled": None, "effort": None}).body
    assert "thinking" not in sent(reasoning=None, reasoning_effort=None).body


def test_image_for_a_model_without_vision_is_refused_and_with_vision_passes() -> None:
    told = [{"role": "user", "content": [{"type": "text", "text": "what?"}, IMAGE]}]
    assert sent(messages=told).body["messages"] == told
    with pytest.raises(InvalidValue) as raised:
        sent(messages=told, model="deepseek-v4-pro")
    assert raised.value.param == "messages[0].content[1]"


def test_text_parts_become_one_string() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert messages({"role": "system", "content": parts}, {"role": "user", "content": parts}) == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "a\nb"},
    ]


def test_developer_is_system() -> None:
    assert messages({"role": "developer", "content": "a"}) == [{"role": "system", "content": "a"}]


def test_assistant_without_content_says_the_empty_string_unless_it_calls_a_tool() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    silent, calling = messages(
        {"role": "assistant", "content": None}, {"role": "assistant", "content": None, "tool_calls": [call]}
    )
    assert (silent["content"], calling["content"]) == ("", None)


def test_members_that_other_answers_had_are_not_sent_back() -> None:
    echo = {
        "role": "assistant",
        "content": "a",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "reasoning_details": [],
    }
    assert messages(USER, echo) == [USER, {"role": "assistant", "content": "a"}]


def test_reasoning_goes_back_on_every_assistant_message_when_tools_meet_thinking() -> None:
    told = [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_content": "r"},
        {"role": "assistant", "content": "c", "reasoning": "s"},
    ]
    made = messages(*told, USER, tools=[TOOL])
    assert [message.get("reasoning_content") for message in made] == ["", "r", "s", None]


@pytest.mark.parametrize("fields", [{}, {"tools": [TOOL], "thinking": {"type": "disabled"}}])
def test_reasoning_is_not_made_up_where_nobody_asks_for_it(fields: dict[str, Any]) -> None:
    assert "reasoning_content" not in messages({"role": "assistant", "content": "a"}, USER, **fields)[0]


@pytest.mark.parametrize(
    ("base_url", "beta"),
    [
        ("https://api.deepseek.com", "https://api.deepseek.com/beta"),
        ("https://api.deepseek.com/v1", "https://api.deepseek.com/beta"),
        ("https://api.deepseek.com/beta", "https://api.deepseek.com/beta"),
        ("http://127.0.0.1:9/deepseek/", "http://127.0.0.1:9/deepseek/beta"),
    ],
)
def test_beta_is_beside_the_configured_address(base_url: str, beta: str) -> None:
    prefix = {"role": "assistant", "content": "a", "prefix": True}
    upstream = a_dialect(base_url).request(a_call(model="deepseek-flash", messages=[USER, prefix]))
    assert (upstream.base_url, upstream.path) == (beta, "/chat/completions")
    assert upstream.body["messages"][1] == prefix


def test_strict_tools_go_to_beta_when_all_are_strict() -> None:
    strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}
    assert sent(tools=[strict]).base_url == "https://api.deepseek.com/beta"
    assert sent(tools=[strict, TOOL]).base_url is None
    assert sent(tools=[]).base_url is None


def test_text_completion_is_fim_at_beta_without_thinking() -> None:
    upstream = sent("completion", prompt=["def add("], suffix="return c")
    assert (upstream.base_url, upstream.path) == ("https://api.deepseek.com/beta", "/completions")
    body = {"model": "deepseek-flash", "prompt": "def add(", "suffix": "return c", "thinking": {"type": "disabled"}}
    assert {key: upstream.body[key] for key in body} == body


def test_balance_says_whether_calls_will_be_paid_for() -> None:
    assert a_dialect().account([b'{"is_available": false, "balance_infos": []}']).usable is False


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"is_available": true, "balance_infos": [{"currency": "USD"}]}'])
def test_balance_that_is_none_is_an_invalid_response(body: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse):
        a_dialect().account([body])
