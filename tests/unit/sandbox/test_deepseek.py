"""What is DeepSeek's own: thinking, rules about messages, beta features, balance."""

from typing import Any

import pytest

from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import DEEPSEEK, Received, chat, get, post

TOOL = {"type": "function", "function": {"name": "roll_dice", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_00_a", "type": "function", "function": {"name": "roll_dice", "arguments": "{}"}}
USER = {"role": "user", "content": "Tell me about rivers."}


async def sent(ask: Ask, *, path: str = DEEPSEEK, model: str = "deepseek-flash", **fields: Any) -> Received:
    return await ask(post(path, {**chat(model), **fields}))


async def refusal(ask: Ask, **fields: Any) -> tuple[int, str]:
    received = await sent(ask, **fields)
    return received.status, received.json()["error"]["message"]


async def test_whole_answer_has_the_recorded_keys(ask: Ask) -> None:
    body = (await sent(ask)).json()
    assert set(body) == {"id", "object", "created", "model", "choices", "usage", "system_fingerprint"}
    assert set(body["choices"][0]) == {"index", "message", "logprobs", "finish_reason"}
    assert set(body["choices"][0]["message"]) == {"role", "content", "reasoning_content"}
    assert set(body["usage"]) == {
        "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details",
        "prompt_cache_hit_tokens", "prompt_cache_miss_tokens",
    }  # fmt: skip


async def test_thinking_deltas_have_both_fields_one_of_them_null(ask: Ask) -> None:
    received = await sent(ask, stream=True)
    first, *deltas, last = [chunk["choices"][0]["delta"] for chunk in received.objects]
    assert first == {"role": "assistant", "content": None, "reasoning_content": ""}
    assert last == {"content": "", "reasoning_content": None}
    assert all([delta["content"], delta["reasoning_content"]].count(None) == 1 for delta in deltas)
    assert received.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_without_thinking_there_is_no_word_of_it(ask: Ask) -> None:
    for stream in (True, False):
        received = await sent(ask, stream=stream, thinking={"type": "disabled"})
        assert b"reasoning" not in received.body


async def test_output_cap_may_be_used_up_by_thoughts(ask: Ask) -> None:
    body = (await sent(ask, max_tokens=5)).json()
    assert (body["choices"][0]["message"]["content"], body["choices"][0]["finish_reason"]) == ("", "length")
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5


async def test_newer_name_of_the_cap_is_not_known(ask: Ask) -> None:
    body = (await sent(ask, max_completion_tokens=5)).json()
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "model", ["deepseek-flash", "deepseek-v4-pro", "deepseek-v4-flash", "sandbox-chat", "sandbox/chat"]
)
async def test_accepted_models(ask: Ask, model: str) -> None:
    assert (await sent(ask, model=model)).json()["model"] == model


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
async def test_retired_models(ask: Ask, model: str) -> None:
    assert await refusal(ask, model=model) == (
        400,
        f"The supported API model names are deepseek-flash, deepseek-v4-pro, but you passed {model}.",
    )


async def test_lists_have_no_created(ask: Ask) -> None:
    body = (await ask(get("/deepseek/models"))).json()
    assert body["data"][0] == {"id": "deepseek-flash", "object": "model", "owned_by": "deepseek"}
    assert (await ask(get("/deepseek/v1/models"))).json() == body


async def test_balance(ask: Ask) -> None:
    rich = (await ask(get("/deepseek/user/balance"))).json()
    poor = (await ask(get("/deepseek/user/balance", key="sk-broke"))).json()
    assert (rich["is_available"], rich["balance_infos"][0]["total_balance"]) == (True, "110.00")
    assert (poor["is_available"], poor["balance_infos"][0]["total_balance"]) == (False, "0.00")


async def test_version_in_the_path_says_nothing(ask: Ask) -> None:
    assert (await sent(ask, path="/deepseek/v1/chat/completions")).status == 200
    assert (await sent(ask, path="/deepseek/chat/completions/")).status == 200


async def test_finish_reason_of_its_own(ask: Ask) -> None:
    model = "sandbox/finish-insufficient_system_resource"
    whole = (await sent(ask, model=model)).json()
    last = (await sent(ask, model=model, stream=True)).objects[-1]
    assert whole["choices"][0]["finish_reason"] == last["choices"][0]["finish_reason"] == "insufficient_system_resource"
    assert last["usage"]["completion_tokens"] > 0


# What it refuses.


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"max_tokens": 400_000}, 422, "valid range of max_tokens"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, 400, "response_format"),
        ({"response_format": {"type": "json_object"}}, 400, "the word 'json'"),
        ({"temperature": 3}, 400, "temperature"),
        ({"stop": [str(number) for number in range(17)]}, 400, "stop"),
        ({"user_id": "a b"}, 400, "user_id"),
        ({"thinking": {"type": "perhaps"}}, 400, "thinking"),
        ({"tools": [{"type": "web_search"}]}, 400, "unknown variant `web_search`, expected `function`"),
        ({"tools": [{"type": "function", "function": {"name": "two words"}}]}, 400, "tools[0].function.name"),
        ({"tools": [TOOL] * 129}, 400, "at most 128"),
        ({"messages": [{"role": "developer", "content": "x"}]}, 400, "unknown variant `developer`"),
        ({"messages": [{"role": "system", "content": [{"type": "text", "text": "x"}]}]}, 400, "invalid type: sequence"),
        ({"messages": [USER, {"role": "assistant", "content": None}, USER]}, 400, "content or tool_calls must be set"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER]}, 400, "No tool output found"),
        ({"messages": [USER, {"role": "tool", "content": "6"}]}, 400, "tool_call_id"),
        ({"messages": [USER, {"role": "assistant", "content": "So", "prefix": True}]}, 400, "beta"),
    ],
)
async def test_refusals(ask: Ask, fields: Any, status: int, message: str) -> None:
    got_status, got_message = await refusal(ask, **fields)
    assert got_status == status
    assert message in got_message


async def test_lists_of_parts_are_for_models_that_see(ask: Ask) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "echo: seen"}]}]
    seen = (await sent(ask, messages=messages)).json()
    assert seen["choices"][0]["message"]["content"] == "seen"
    assert (await sent(ask, model="deepseek-v4-pro", messages=messages)).status == 400


@pytest.mark.parametrize(
    ("thoughts", "thinking", "status"),
    [({}, None, 400), ({"reasoning_content": ""}, None, 200), ({}, {"type": "disabled"}, 200)],
)
async def test_thoughts_must_come_back_with_tools(ask: Ask, thoughts: Any, thinking: Any, status: int) -> None:
    history = [USER, {"role": "assistant", "content": "Rivers flow.", **thoughts}, USER]
    received = await sent(ask, messages=history, tools=[TOOL], thinking=thinking)
    assert received.status == status
    if status == 400:
        assert "must be passed back to the API" in received.json()["error"]["message"]


async def test_tool_results_behind_their_calls_are_fine(ask: Ask) -> None:
    history = [USER, {"role": "assistant", "content": "", "reasoning_content": "", "tool_calls": [CALL]},
               {"role": "tool", "tool_call_id": "call_00_a", "content": "6"}]  # fmt: skip
    answer = (await sent(ask, messages=history, tools=[TOOL])).json()["choices"][0]["message"]
    assert "roll_dice" in answer["content"]


# Beta.


async def test_prefix_is_continued(ask: Ask) -> None:
    messages = [USER, {"role": "assistant", "content": "echo: and so on", "prefix": True}]
    received = await sent(ask, path="/deepseek/beta/chat/completions", messages=messages)
    assert received.json()["choices"][0]["message"]["content"] == "and so on"


async def test_fill_in_the_middle(ask: Ask) -> None:
    body = {"model": "deepseek-v4-pro", "prompt": "echo: a + b", "suffix": "\n", "max_tokens": 64}
    whole = (await ask(post("/deepseek/beta/completions", body))).json()
    chunks = (await ask(post("/deepseek/beta/completions", {**body, "stream": True}))).objects
    assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", "a + b")
    assert "completion_tokens_details" not in whole["usage"]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "a + b"


async def test_fill_in_the_middle_is_bounded(ask: Ask) -> None:
    body = {"model": "deepseek-v4-pro", "prompt": "x", "max_tokens": 5000}
    assert (await ask(post("/deepseek/beta/completions", body))).status == 400
    assert (await ask(post("/deepseek/completions", body))).status == 404


async def test_there_are_no_embeddings(ask: Ask) -> None:
    assert (await ask(post("/deepseek/embeddings", {"model": "x", "input": "y"}))).status == 404
