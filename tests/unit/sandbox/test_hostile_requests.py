"""Whatever the body says, there is an answer, and it is never the sandbox's own failure."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.sandbox.app import World
from llm_service.sandbox.messages import Head, Reply, Request
from tests.support.clock import ManualClock
from tests.unit.sandbox.raw import CHATS, OPENROUTER

EMBEDDINGS = "/openai/v1/embeddings"
PATHS = (*CHATS, "/openrouter/api/v1/completions", "/deepseek/beta/completions", "/openai/v1/completions", EMBEDDINGS)
FIELDS = (
    "max_tokens max_completion_tokens stop n stream stream_options tools tool_choice parallel_tool_calls "
    "response_format logprobs top_logprobs temperature thinking reasoning reasoning_effort provider models user_id "
    "input prompt echo dimensions encoding_format sandbox include_reasoning"
).split()

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-10, 300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS | st.sampled_from(["text", "function", "json_schema", "auto", "enabled"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "function", "name", "parameters", "schema", "json_schema", "id", "text", "enum",
                         "items", "properties", "required", "anyOf", "allOf", "$ref", "minItems", "minimum", "pattern",
                         "order"]),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer"]) | SCALARS, "content": JSON},
    optional={
        "tool_calls": JSON,
        "tool_call_id": SCALARS,
        "reasoning_content": SCALARS,
        "prefix": SCALARS,
        "name": SCALARS,
    },
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("sandbox/chat") | SCALARS, "messages": st.lists(MESSAGE, min_size=1, max_size=4) | JSON},
    optional=dict.fromkeys(FIELDS, JSON),
)


def answered(path: str, body: bytes) -> bytes:
    """The beginning of the answer, once all of it has been made."""
    headers = {"authorization": "Bearer sk-test-1234"}
    world = World(seed=1, clock=ManualClock(), pace_s=0)
    reply = world.answer(Request.build(method="POST", target=path, headers=headers, body=body))
    return reply.whole or _head(reply)


def _head(reply: Reply) -> bytes:
    heads = [step.encode() for step in reply.steps if isinstance(step, Head)]
    return heads[0]


@given(path=st.sampled_from(PATHS), body=BODIES)
def test_no_body_breaks_the_sandbox(path: str, body: dict[str, Any]) -> None:
    status = int(answered(path, orjson.dumps(body)).split(b" ", 2)[1])
    assert status < 500


@given(path=st.sampled_from(PATHS), body=st.binary(max_size=60))
def test_no_bytes_break_the_sandbox(path: str, body: bytes) -> None:
    assert answered(path, body).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", [b"[" * 2000, b'{"model":' + b'{"a":' * 2000, b'{"messages":[{"role":"user","content":"\\ud800"}]}']
)
def test_deep_and_broken_json_is_refused(path: str, body: bytes) -> None:
    assert answered(path, body).startswith(b"HTTP/1.1 400")


@given(
    schema=st.dictionaries(st.sampled_from(["type", "properties", "items", "allOf", "$ref", "enum", "minItems"]), JSON)
)
def test_no_schema_breaks_the_sandbox(schema: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "any", "parameters": schema}}
    body = {"model": "sandbox/tool-call", "messages": [{"role": "user", "content": "x"}], "tools": [tool]}
    assert answered(OPENROUTER, orjson.dumps(body)).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}]},
        {"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 3},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "(a{1000}){1000}"},
        {"type": "string", "pattern": "(" * 500},
    ],
)
def test_schemas_without_an_end_are_cut_off(schema: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "any", "parameters": schema}}
    body = {"model": "sandbox/tool-call", "messages": [{"role": "user", "content": "x"}], "tools": [tool]}
    assert len(answered(OPENROUTER, orjson.dumps(body))) < 1_000_000


SHAPES = (None, True, 5, "text", [], [5], {}, {"name": 5}, {"function": 5}, {"type": "function", "function": 5})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", [*FIELDS, "prediction", "user", "seed", "metadata", "functions"])
def test_no_shape_of_a_field_breaks_the_sandbox(path: str, field: str) -> None:
    for shape in SHAPES:
        for value in (
            shape,
            [shape],
            {"type": "function", "function": shape},
            [{"type": "function", "function": shape}],
        ):
            body = {
                "model": "sandbox/chat",
                "messages": [{"role": "user", "content": "x"}],
                "prompt": "x",
                "input": "x",
                "logprobs": field == "top_logprobs",
                field: value,
            }
            assert int(answered(path, orjson.dumps(body)).split(b" ", 2)[1]) < 500


def test_deepseek_says_which_tool_has_no_function() -> None:
    tools = [{"type": "function", "function": 5}]
    body = {"model": "deepseek-flash", "messages": [{"role": "user", "content": "x"}], "tools": tools}
    head, _, said = answered("/deepseek/chat/completions", orjson.dumps(body)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    error = orjson.loads(said)["error"]
    assert error["type"] == "invalid_request_error"
    assert "tools[0].function: invalid type" in error["message"]
