"""What is wrong with a request is said by the path of its field, and by what was expected there."""

from typing import Any

import pytest

from llm_service.domain import (
    KNOWN_FIELDS,
    InvalidRequest,
    InvalidValue,
    MissingParameter,
    chat_request,
    completion_request,
    embedding_request,
)

HELLO = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PARSERS = {"chat": chat_request, "completion": completion_request, "embedding": embedding_request}
RIGHT: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [HELLO]},
    "completion": {"model": "m", "prompt": "p"},
    "embedding": {"model": "m", "input": "i"},
}


def saying(*parts: object, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(parts)}]}


def refused(operation: str, fields: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        PARSERS[operation]({**RIGHT[operation], **fields})
    return raised.value


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": -0.1}, "temperature", "'temperature' must be a number of at least 0, not -0.1."),
    ({"temperature": float("inf")}, "temperature", "'temperature' must be a number of at least 0, not inf."),
    ({"temperature": "hot"}, "temperature", "'temperature' must be a number, not a string."),
    ({"top_p": 1.5}, "top_p", "'top_p' must be a number from 0 to 1, not 1.5."),
    ({"top_p": float("nan")}, "top_p", "'top_p' must be a number from 0 to 1, not nan."),
    ({"presence_penalty": -3}, "presence_penalty", "'presence_penalty' must be a number from -2 to 2, not -3."),
    ({"frequency_penalty": True}, "frequency_penalty", "'frequency_penalty' must be a number, not a boolean."),
    ({"n": 0}, "n", "'n' must be at least 1, not 0."),
    ({"n": 1.0}, "n", "'n' must be an integer, not a number."),
    ({"seed": 2**63}, "seed", "'seed' must be an integer of at most 64 bits."),
    ({"stop": ["a", 1]}, "stop[1]", "'stop[1]' must be a string, not an integer."),
    ({"logit_bias": {"50": "x"}}, "logit_bias.50", "'logit_bias.50' must be a number, not a string."),
    ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "must be true or false, not an integer"),
    ({"modalities": ["text", 1]}, "modalities[1]", "'modalities[1]' must be a string"),
    ({"models": ["a", " "]}, "models[1]", "'models[1]' must not be empty."),
    ({"messages": {}}, "messages", "'messages' must be a list of messages, not an object."),
    ({"messages": []}, "messages", "'messages' must hold at least one message."),
    ({"messages": [HELLO, "x"]}, "messages[1]", "'messages[1]' must be an object, not a string."),
    ({"messages": [{"content": "x"}]}, "messages[0].role", "'messages[0].role' is required: one of system, "),
    ({"messages": [{"role": "robot"}]}, "messages[0].role", "'messages[0].role' must be one of system, "),
    ({"messages": [{"role": ["user"]}]}, "messages[0].role", "'messages[0].role' must be one of system, "),
    ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "must be a string or a list of parts"),
    (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages[0].tool_call_id",
        "'messages[0].tool_call_id' is required: which call this is the result of.",
    ),
    (saying("x"), "messages[0].content[0]", "'messages[0].content[0]' must be an object, not a string."),
    (saying({"type": 1}), "messages[0].content[0].type", "must be a string, not an integer"),
    (saying({"type": "text"}), "messages[0].content[0].text", "is required in a part of type text"),
    (saying({"type": "text", "text": 1}), "messages[0].content[0].text", "must be a string, not an integer"),
    (saying({"type": "image_url"}), "messages[0].content[0].image_url", "is required in a part of type image_url"),
    (saying({"type": "image_url", "image_url": {}}), "messages[0].content[0].image_url.url", "is required"),
    (saying({"type": "image_url", "image_url": [1]}), "messages[0].content[0].image_url", "an object with the image's"),
    (saying({"type": "input_audio", "input_audio": {}}), "messages[0].content[0].input_audio.data", "is required"),
    (saying({"type": "file", "file": "x"}), "messages[0].content[0].file", "must be an object, not a string"),
    (saying({"type": "refusal"}, role="assistant"), "messages[0].content[0].refusal", "is required"),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"type": "function"}]}]},
        "messages[0].tool_calls[0].function",
        "is required in a call of a function",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}]},
        "messages[0].tool_calls[0].function.name",
        "is required",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 1}}]}]},
        "messages[0].tool_calls[0].function.arguments",
        "must be a string of JSON, not an integer",
    ),
    ({"tools": [{}]}, "tools[0].function", "is required in a tool of type function"),
    ({"tools": [TOOL, {"type": "function", "function": {}}]}, "tools[1].function.name", "is required"),
    ({"tools": [{"function": {"name": ""}}]}, "tools[0].function.name", "must not be empty"),
    ({"tools": [{"function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters", "must be an object"),
    ({"tools": [{"type": " "}]}, "tools[0].type", "must not be empty"),
    ({"tool_choice": 1}, "tool_choice", "must be a string or an object, not an integer"),
    (
        {"tool_choice": {"type": "function"}},
        "tool_choice.function",
        "is required: an object with the function's 'name'",
    ),
    ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name", "is required"),
    ({"response_format": "json"}, "response_format", "must be an object, not a string"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "with a 'name' and the 'schema'"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": "x"}}},
        "response_format.json_schema.schema",
        "must be an object, not a string",
    ),
    ({"functions": [{"description": "f"}]}, "functions[0].name", "is required"),
    # Servers that do not tell capitals from small letters would take these for fields that were looked at.
    ({"Messages": [HELLO]}, "Messages", "'Messages' must be spelled 'messages'."),
    ({"MODEL": "dearer"}, "MODEL", "'MODEL' must be spelled 'model'."),
    ({"\u017ftop": ["x"]}, "\u017ftop", "must be spelled 'stop'."),
    ({"to\u212a_p": 1, "to\u212aen": 1, "top_\u212a": 1}, "top_\u212a", "must be spelled 'top_k'."),
    ({"messages": [{**HELLO, "Content": "evil"}]}, "messages[0].Content", "must be spelled 'content'."),
    (saying({"type": "text", "text": "x", "TEXT": "evil"}), "messages[0].content[0].TEXT", "must be spelled 'text'."),
    ({"tools": [{**TOOL, "Function": TOOL["function"]}]}, "tools[0].Function", "must be spelled 'function'."),
]


@pytest.mark.parametrize(("fields", "param", "said"), WRONG, ids=lambda value: value if type(value) is str else "")
def test_a_wrong_field_of_a_chat_is_named(fields: dict[str, Any], param: str, said: str) -> None:
    error = refused("chat", fields)
    assert error.param == param
    assert said in error.message
    assert error.message.endswith(".")


@pytest.mark.parametrize(
    ("operation", "fields", "param"),
    [
        ("completion", {"prompt": None}, "prompt"),
        ("completion", {"prompt": []}, "prompt"),
        ("completion", {"prompt": ["a", 1]}, "prompt"),
        ("completion", {"prompt": [[1], []]}, "prompt[1]"),
        ("completion", {"prompt": [[1.5]]}, "prompt[0]"),
        ("completion", {"prompt": [True]}, "prompt"),
        ("completion", {"prompt": [{"a": 1}]}, "prompt"),
        ("completion", {"best_of": 0}, "best_of"),
        ("embedding", {"input": None}, "input"),
        ("embedding", {"input": [None]}, "input"),
        ("embedding", {"input": [["a"]]}, "input[0]"),
        ("embedding", {"dimensions": -1}, "dimensions"),
    ],
)
def test_a_wrong_field_of_another_operation_is_named(operation: str, fields: dict[str, Any], param: str) -> None:
    assert refused(operation, fields).param == param


def test_what_is_missing_has_a_code_of_its_own() -> None:
    assert type(refused("chat", {"messages": None})) is MissingParameter
    assert type(refused("chat", {"messages": 1})) is InvalidValue


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 3.5},  # vLLM and llama.cpp take it
        {"stop": ["a", "b", "c", "d", "e"]},
        {"top_logprobs": 50},
        {"tools": [{"type": "openrouter:web_search", "parameters": {}}]},
        {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"tools": [{"function": {"name": "a.b:c/d", "parameters": None}}]},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
        {"tool_choice": "validated"},
        {"response_format": {"type": "grammar", "grammar": "x"}},
        {"response_format": {"type": "json_schema", "schema": {}}},
        {"reasoning": {"effort": "low"}, "provider": {"order": []}, "plugins": "web"},
        {"messages": [{"role": "tool", "name": "f", "content": "x"}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
        {"messages": [{"role": "assistant", "reasoning_details": [{"type": "x"}], "prefix": True}]},
        saying({"type": "image_url", "image_url": "https://a.test/b.png"}),
        saying({"type": "video_url", "video_url": {"url": "https://a.test"}}, {"type": "new", "new": 7}),
        {"of_my_own": {"Model": "x"}, "max_token": 7},
    ],
)
def test_what_some_provider_takes_is_let_pass_untouched(fields: dict[str, Any]) -> None:
    body = {**RIGHT["chat"], **fields}
    assert chat_request(body).body is body


def test_null_counts_as_absent_in_every_field() -> None:
    names = KNOWN_FIELDS["chat"] - {"messages", "model"}
    assert chat_request({**RIGHT["chat"], **dict.fromkeys(names)}).stream is False


def test_a_path_in_a_message_is_bounded() -> None:
    assert len(refused("chat", {"logit_bias": {"k" * 10_000: "x"}}).message) < 300


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("messages", {"messages": [{}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": [{}]}]}),
        ("messages[0].tool_calls", {"messages": [{"role": "assistant", "tool_calls": [{}]}]}),
        ("stop", {"messages": [{"role": "user", "content": "x"}], "stop": [None]}),
    ],
)
def test_of_a_list_that_is_too_long_no_entry_is_looked_at(field: str, body: dict[str, Any]) -> None:
    """Each entry is wrong: the length is what is refused, before them."""
    holder: Any = body
    *path, last = field.replace("[0]", ".0").split(".")
    for step in path:
        holder = holder[int(step) if step.isdigit() else step]
    holder[last] = holder[last] * 65_537
    with pytest.raises(InvalidValue, match="more than 65536 entries") as refused:
        chat_request({"model": "m", **body})
    assert refused.value.param == field


def test_so_many_inputs_of_one_request_are_too_many() -> None:
    with pytest.raises(InvalidValue, match="more than 65536 entries"):
        embedding_request({"model": "m", "input": [[1]] * 65_537})
    assert embedding_request({"model": "m", "input": [1] * 65_537}).operation == "embedding"


def test_a_result_of_a_call_with_an_empty_id_is_handed_back_as_it_came() -> None:
    call = {"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    chat_request({"model": "m", "messages": [asked, {"role": "tool", "tool_call_id": "", "content": "x"}]})
