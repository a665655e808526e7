"""Whatever an upstream sends or a client asks for: an answer, or an error of our tree, never another exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Event, InvalidValue, LLMServiceError, MissingParameter, UpstreamInvalidResponse
from llm_service.providers import Dialect, ProviderOptions, dialect_for
from llm_service.providers.base import ChunkReader
from llm_service.providers.catalog import SERVERS
from tests.support.clock import ManualClock
from tests.support.transcripts import a_call

NAMES = ["openrouter", "deepseek", *SERVERS]
KEYS = (
    "choices delta message index finish_reason tool_calls function name arguments id type content role usage error code"
    " message metadata raw headers availability retry_after prompt_tokens completion_tokens total_tokens cost model"
    " created object text thinking data details retryDelay reasoning_details x_groq completion_tokens_details detail"
    " loc msg reasoning_tokens cost_details is_byok prompt param"
).split()
WORDS = ["stop", "error", "length", "tool_calls", "assistant", "thinking", "text", "NaN", "", "1", "\ud83d", "abort"]
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=6,
)
deltas = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("content", "role", "tool_calls", "reasoning_details"), values)
)
fragments = st.fixed_dictionaries({}, optional={"index": leaves, "id": leaves, "function": values, "type": leaves})
choices = st.fixed_dictionaries(
    {},
    optional={
        "index": leaves,
        "delta": deltas | st.builds(lambda calls: {"tool_calls": calls}, st.lists(fragments, max_size=3)) | values,
        "message": deltas | values,
        "text": leaves,
        "finish_reason": leaves,
        "error": values,
    },
)
chunks = st.fixed_dictionaries(
    {},
    optional={
        "id": leaves,
        "created": leaves,
        "model": leaves,
        "choices": st.lists(choices, max_size=3) | values,
        "usage": values,
        "error": values,
    },
)


dialects = st.sampled_from(NAMES).map(
    lambda name: dialect_for(name, ProviderOptions(base_url="https://upstream.test/v1"), ManualClock())
)


def wire(value: Any) -> bytes:
    return json.dumps(value).encode()


@given(dialect=dialects, body=st.lists(chunks | values, max_size=5), operation=st.sampled_from(["chat", "completion"]))
def test_stream_of_anything_is_read_or_refused(dialect: Dialect, body: list[Any], operation: str) -> None:
    reader = dialect.reader(a_call(operation, stream=True))
    try:
        events = [event for one in body for event in reader.read(wire(one))]
        terminal, outcome = reader.close(done=True)
    except LLMServiceError:
        reader.outcome_so_far()
        return
    assert outcome.finish_reason
    for event in [*events, *terminal]:
        assert json.loads(event.raw)["choices"] == json.loads(json.dumps(event.chunk))["choices"]


@given(
    dialect=dialects,
    body=chunks | values | st.binary(max_size=40),
    operation=st.sampled_from(["chat", "completion", "embedding"]),
)
def test_answer_of_anything_is_read_or_refused(dialect: Dialect, body: Any, operation: Any) -> None:
    raw = body if isinstance(body, bytes) else wire(body)
    try:
        answer = dialect.answer(raw, a_call(operation))
    except LLMServiceError:
        return
    assert isinstance(json.loads(answer.raw), dict)


@given(
    dialect=dialects,
    status=st.integers(100, 999),
    body=chunks | values | st.binary(max_size=40),
    header=st.text(max_size=12),
)
def test_error_of_anything_is_one_of_our_tree(dialect: Dialect, status: int, body: Any, header: str) -> None:
    raw = body if isinstance(body, bytes) else wire(body)
    headers = dict.fromkeys(("retry-after", "retry-after-ms", "x-ratelimit-reset"), header)
    assert dialect.error(status, headers, raw).message


@given(dialect=dialects, body=values)
def test_lists_accounts_and_records_of_anything_are_read_or_refused(dialect: Dialect, body: Any) -> None:
    for read in (dialect.models, lambda raw: dialect.account([raw, raw]), dialect.generation):
        try:
            read(wire(body))
        except LLMServiceError:
            continue


DEEP = b'{"choices":' + b"[" * 100_000


def read_all(reader: ChunkReader, events: list[bytes]) -> list[Event]:
    read = [event for data in events for event in reader.read(data)]
    return [*read, *reader.close(done=True)[0]]


@pytest.mark.parametrize("data", [DEEP, b"", b"\xff", b"[]", b'"text"', b"nul", b'{"choices":{}}', b'{"choices":[1]}'])
def test_event_that_is_no_chunk_is_an_invalid_response(data: bytes) -> None:
    reader = dialect_for("generic", ProviderOptions(), ManualClock()).reader(a_call(stream=True))
    with pytest.raises(UpstreamInvalidResponse) as raised:
        read_all(reader, [data])
    assert raised.value.retryable


parts = st.fixed_dictionaries({}, optional={"type": leaves, "text": leaves, "refusal": leaves, "image_url": values})
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"])},
    optional={
        "content": st.none() | st.text(max_size=5) | st.lists(parts, max_size=3),
        "tool_calls": st.none() | st.lists(fragments, max_size=2),
        "tool_call_id": values,
        "name": values,
        "prefix": leaves,
        "reasoning": values,
        "reasoning_content": values,
    },
)
tools = st.fixed_dictionaries({}, optional={"type": leaves, "function": values})
fields = st.fixed_dictionaries(
    {"messages": st.lists(messages, min_size=1, max_size=3)},
    optional={
        "tools": st.none() | st.lists(tools, max_size=2),
        "tool_choice": st.text(max_size=3) | st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
        "response_format": st.none() | st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
        "n": st.integers(1, 3),
        "max_tokens": st.none() | st.integers(1, 9),
        "max_completion_tokens": st.none() | st.integers(1, 9),
        "stream": st.booleans(),
        "stream_options": st.none() | st.just({"include_usage": True}),
        "models": st.none() | st.lists(st.just("openrouter/acme/one"), max_size=2),
        "user": st.none() | st.text(max_size=3),
        "seed": st.none() | st.integers(),
        **dict.fromkeys(("reasoning", "thinking", "modalities", "audio", "function_call", "user_id"), values),
    },
)


@given(dialect=dialects, body=fields)
def test_request_of_anything_is_translated_or_refused(dialect: Dialect, body: dict[str, Any]) -> None:
    before = json.dumps(body)
    try:
        call = a_call(**body)
        assert dialect.request(call).path == "/chat/completions"
    except (InvalidValue, MissingParameter) as refused:
        assert refused.param  # noqa: PT017 - both endings are right
    assert json.dumps(body) == before, "the client's own body is never changed"
