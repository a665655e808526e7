"""What strict servers do not take is changed before it is sent, and only that."""

import re
from typing import Any

import pytest

from llm_service.domain import InvalidValue
from llm_service.providers.edits import short_tool_ids
from tests.unit.providers.test_catalog import sent

USER = {"role": "user", "content": "hi"}


def called(*ids: str) -> dict[str, Any]:
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def result(call_id: str, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "1", **more}


def test_mistral_gets_ids_of_nine_letters_and_digits_that_belong_together() -> None:
    told = [called("call_00_abcdefghijkl", "D681PevKs"), result("call_00_abcdefghijkl"), result("D681PevKs")]
    assistant, first, second = sent("mistral", messages=told)["messages"]
    short, own = (call["id"] for call in assistant["tool_calls"])
    assert re.fullmatch("[a-zA-Z0-9]{9}", short)
    assert (first["tool_call_id"], own, second["tool_call_id"]) == (short, "D681PevKs", "D681PevKs")


def test_mistral_ids_are_the_same_in_every_request_and_differ_from_each_other() -> None:
    bodies = [{"messages": [called("toolu_1", "toolu_2")]} for _ in range(2)]
    for body in bodies:
        short_tool_ids(body)
    first, again = ([call["id"] for call in body["messages"][0]["tool_calls"]] for body in bodies)
    assert first == again
    assert len(set(first)) == 2


def test_mistral_ids_never_collide_with_one_that_is_there_already() -> None:
    body = {"messages": [called("toolu_1")]}
    short_tool_ids(body)
    taken = body["messages"][0]["tool_calls"][0]["id"]
    body = {"messages": [called("toolu_1", taken)]}
    short_tool_ids(body)
    assert len({call["id"] for call in body["messages"][0]["tool_calls"]}) == 2


def test_mistral_gets_no_hints_that_it_refuses() -> None:
    hints = {"user": "u", "logprobs": True, "store": False, "service_tier": "auto", "logit_bias": {}}
    assert not sent("mistral", stream=True, **hints).keys() & {*hints, "stream_options"}


def test_mistral_gets_names_on_tool_results_alone_and_no_silent_assistants() -> None:
    told = [{**USER, "name": "ann"}, {"role": "assistant", "content": ""}, result("D681PevKs", name="f")]
    assert sent("mistral", messages=told)["messages"] == [USER, result("D681PevKs", name="f")]


def test_mistral_calls_a_required_tool_any() -> None:
    assert sent("mistral", tool_choice="required")["tool_choice"] == "any"
    assert sent("mistral", tool_choice="auto")["tool_choice"] == "auto"


def test_mistral_gets_schemas_without_ids() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"$id": "x", "type": "string"}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    parameters = sent("mistral", tools=tools)["tools"][0]["function"]["parameters"]
    assert parameters == {"properties": {"a": {"type": "string"}}}


def test_schema_without_end_is_the_callers_fault() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3_000):
        schema = {"items": schema}
    with pytest.raises(InvalidValue) as raised:
        sent("mistral", tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])
    assert raised.value.param == "tools"


def test_groq_gets_no_names() -> None:
    assert sent("groq", messages=[{**USER, "name": "ann"}])["messages"] == [USER]
