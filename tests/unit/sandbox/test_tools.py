"""Tool calls: when they come, what they hold, and their odd forms."""

from typing import Any

import orjson
import pytest

from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import CHATS, DEEPSEEK, PLAIN, Received, chat, post

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {"name": "current_time", "parameters": {"type": "object", "properties": {}}}}
TWO_CITIES = "What is the weather in Oslo and Bergen?"


async def asked(ask: Ask, prompt: str, *, path: str = PLAIN, model: str = "sandbox/chat", **fields: Any) -> Received:
    return await ask(post(path, chat(model, prompt, **{"tools": [WEATHER, TIME], **fields})))


async def message(ask: Ask, prompt: str, **fields: Any) -> Any:
    return (await asked(ask, prompt, **fields)).json()["choices"][0]["message"]


@pytest.mark.parametrize("path", CHATS)
async def test_prompt_that_asks_for_it_calls_the_tool(ask: Ask, path: str) -> None:
    body = (await asked(ask, "How is the weather in Oslo?", path=path)).json()
    (call,) = body["choices"][0]["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert orjson.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert body["choices"][0]["finish_reason"] == "tool_calls"


async def test_other_prompts_get_a_text(ask: Ask) -> None:
    answer = await message(ask, "Tell me about rivers.")
    assert "tool_calls" not in answer
    assert answer["content"]


async def test_choice_none_forbids_and_required_demands(ask: Ask) -> None:
    assert "tool_calls" not in await message(ask, TWO_CITIES, tool_choice="none")
    assert (await message(ask, "Tell me about rivers.", tool_choice="required"))["tool_calls"]


async def test_named_tool_is_called(ask: Ask) -> None:
    choice = {"type": "function", "function": {"name": "current_time"}}
    answer = await message(ask, TWO_CITIES, tool_choice=choice)
    assert [call["function"]["name"] for call in answer["tool_calls"]] == ["current_time"]


async def test_parallel_calls_have_ids_of_their_own(ask: Ask) -> None:
    calls = (await message(ask, TWO_CITIES))["tool_calls"]
    assert [orjson.loads(call["function"]["arguments"])["city"] for call in calls] == ["Oslo", "Bergen"]
    assert len({call["id"] for call in calls}) == 2


async def test_parallel_calls_can_be_switched_off(ask: Ask) -> None:
    assert len((await message(ask, TWO_CITIES, parallel_tool_calls=False))["tool_calls"]) == 1


async def test_result_of_a_tool_is_taken_up(ask: Ask) -> None:
    first = await message(ask, "How is the weather in Oslo?")
    history = [
        {"role": "user", "content": "How is the weather in Oslo?"},
        first,
        {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "Snow, minus 3."},
    ]
    body = {"model": "sandbox/chat", "messages": history, "tools": [WEATHER]}
    answer = (await ask(post(PLAIN, body))).json()["choices"][0]["message"]["content"]
    assert "get_weather" in answer
    assert "Snow, minus 3." in answer


@pytest.mark.parametrize("path", CHATS)
@pytest.mark.parametrize("form", ["chat", "tools-whole", "tools-interleaved", "tools-repeat-id", "merged-2"])
async def test_fragments_put_together_are_the_whole_calls(ask: Ask, path: str, form: str) -> None:
    model = f"sandbox/{form}"
    whole = (await asked(ask, TWO_CITIES, path=path, model=model)).json()["choices"][0]["message"]["tool_calls"]
    fragments = await fragments_of(ask, model, path=path)
    for place, call in enumerate(whole):
        pieces = [fragment["function"]["arguments"] for fragment in fragments if fragment["index"] == place]
        assert "".join(pieces) == call["function"]["arguments"]


async def test_opener_names_the_tool_and_the_rest_do_not(ask: Ask) -> None:
    first, *others = [part for part in await fragments_of(ask, "sandbox/chat") if part["index"] == 0]
    assert (first["type"], first["function"]) == ("function", {"name": "get_weather", "arguments": ""})
    assert all(set(part) == {"index", "function"} and set(part["function"]) == {"arguments"} for part in others)


async def test_deepseek_numbers_its_calls(ask: Ask) -> None:
    calls = (await asked(ask, TWO_CITIES, path=DEEPSEEK)).json()["choices"][0]["message"]["tool_calls"]
    assert [call["id"][:8] for call in calls] == ["call_00_", "call_01_"]
    assert [call["index"] for call in calls] == [0, 1]


async def test_plain_whole_calls_have_no_index(ask: Ask) -> None:
    assert all("index" not in call for call in (await message(ask, TWO_CITIES))["tool_calls"])


async def fragments_of(ask: Ask, model: str, *, path: str = PLAIN) -> list[Any]:
    received = await asked(ask, TWO_CITIES, path=path, model=model, stream=True)
    deltas = [chunk["choices"][0]["delta"] for chunk in received.objects if chunk["choices"]]
    return [fragment for delta in deltas for fragment in delta.get("tool_calls", [])]


async def test_fragments_without_index(ask: Ask) -> None:
    assert all("index" not in fragment for fragment in await fragments_of(ask, "sandbox/tools-no-index"))


async def test_ids_and_names_on_every_fragment(ask: Ask) -> None:
    fragments = await fragments_of(ask, "sandbox/tools-repeat-id")
    assert all(fragment["id"] and fragment["function"]["name"] for fragment in fragments)


async def test_empty_ids(ask: Ask) -> None:
    assert {fragment["id"] for fragment in await fragments_of(ask, "sandbox/tools-empty-id") if "id" in fragment} == {
        ""
    }


async def test_whole_calls_in_one_delta(ask: Ask) -> None:
    fragments = await fragments_of(ask, "sandbox/tools-whole")
    assert [fragment["function"]["arguments"] for fragment in fragments] == ['{"city":"Oslo"}', '{"city":"Bergen"}']


async def test_signatures_on_the_openers(ask: Ask) -> None:
    fragments = await fragments_of(ask, "sandbox/tools-signature")
    signed = [fragment for fragment in fragments if "extra_content" in fragment]
    assert [fragment["function"]["name"] for fragment in signed] == ["get_weather", "get_weather"]
    assert all(fragment["extra_content"]["google"]["thought_signature"] for fragment in signed)


async def test_interleaved_fragments(ask: Ask) -> None:
    fragments = await fragments_of(ask, "sandbox/tools-interleaved")
    assert [fragment["index"] for fragment in fragments[:4]] == [0, 1, 0, 1]


async def test_arguments_that_are_empty_or_no_json(ask: Ask) -> None:
    empty = await message(ask, "weather in Oslo", model="sandbox/tools-empty-arguments")
    bad = await message(ask, "weather in Oslo", model="sandbox/tools-bad-arguments")
    assert empty["tool_calls"][0]["function"]["arguments"] == ""
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(bad["tool_calls"][0]["function"]["arguments"])


async def test_finish_reasons_that_do_not_fit(ask: Ask) -> None:
    stop = (await asked(ask, TWO_CITIES, model="sandbox/tools-finish-stop")).json()["choices"][0]
    missing = (await asked(ask, TWO_CITIES, model="sandbox/tools-missing")).json()["choices"][0]
    assert (stop["finish_reason"], bool(stop["message"]["tool_calls"])) == ("stop", True)
    assert (missing["finish_reason"], "tool_calls" in missing["message"]) == ("tool_calls", False)


async def test_forced_call(ask: Ask) -> None:
    assert (await message(ask, "Tell me about rivers.", model="sandbox/tool-call"))["tool_calls"]


async def test_output_cap_cuts_the_arguments(ask: Ask) -> None:
    choice = (await asked(ask, "weather in Oslo", max_tokens=4)).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"city'
