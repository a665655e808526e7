"""Chunks that are recognised by their bytes, against the same chunks parsed one by one."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Candidate, Event, LLMServiceError, chat_request
from llm_service.providers import ProviderOptions, UpstreamCall, dialect_for
from llm_service.providers.chunks import MOST_MOULDS
from llm_service.providers.mould import MouldedEvent, mould_of
from llm_service.runtime import SystemClock

DIALECT = dialect_for("p", ProviderOptions(base_url="http://127.0.0.1:1/v1"), SystemClock())
ENVELOPE = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
FIRST = {
    **ENVELOPE,
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Once"}, "finish_reason": None}],
}
LAST = {**ENVELOPE, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def a_reader(*, parsing: bool = False) -> Any:
    body = {"model": "p/m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    call = UpstreamCall(chat_request(body), Candidate(provider="p", upstream_model="m"), request_id="req_1")
    reader: Any = DIALECT.reader(call)
    if parsing:
        reader._moulds_left = 0
    return reader


def chunk(delta: dict[str, Any], **other: Any) -> bytes:
    return orjson.dumps({**ENVELOPE, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **other})


def told(events: Sequence[Event]) -> list[tuple[object, ...]]:
    return [(event.seq, event.raw, event.kind, event.chunk) for event in events]


def read(reader: Any, said: Sequence[bytes]) -> object:
    """All that comes of a stream: its events, then its outcome or its error."""
    events: list[Event] = []
    try:
        done = reader.read_into(events, [(one, b"") for one in said])
        terminal, outcome = reader.close(done=done)
    except LLMServiceError as error:
        return told(events), type(error), error.message, reader.outcome_so_far()
    return told(events), told(terminal), outcome


def moulded(said: Sequence[bytes]) -> list[bool]:
    """Which of the chunks behind the first were not parsed."""
    events: list[Event] = []
    a_reader().read_into(events, [(one, b"") for one in (orjson.dumps(FIRST), *said)])
    return [isinstance(event, MouldedEvent) for event in events[1:]]


texts = st.text(max_size=6) | st.sampled_from(['"', "\\", "\n", "\u2028", "}", '","', '\\"', "\x7f", "\U0001f600"])
names = st.sampled_from(["content", "reasoning_content", "reasoning", "refusal", "role"])
deltas = st.dictionaries(names, texts | st.none(), max_size=2) | st.fixed_dictionaries({"content": texts})
others: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({}, {}, {}, {"usage": None}, {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        *({"model": "other"}, {"id": ""}, {"created": 2}, {"error": "no"}),
    ]
)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A chunk, perhaps one in which some bytes were replaced."""
    said = chunk(draw(deltas), **draw(others))
    if draw(st.integers(0, 3)):
        return said
    at, length = draw(st.integers(0, len(said))), draw(st.integers(0, 12))
    splices = [
        b"",
        b" ",
        b'"',
        b"null",
        b"[]",
        b"\n",
        b"\\ud83d",
        b"\xff",
        b'x"y',
        b'"a","content":"b"',
        b"\x00",
        b"{}",
    ]
    return said[:at] + draw(st.sampled_from(splices)) + said[at + length :]


@given(st.lists(written(), max_size=12))
def test_moulded_chunks_mean_what_parsed_ones_mean(said: list[bytes]) -> None:
    stream = [orjson.dumps(FIRST), *said, orjson.dumps(LAST), b"[DONE]"]
    assert read(a_reader(), stream) == read(a_reader(parsing=True), stream)


def test_most_chunks_are_not_parsed() -> None:
    said = [chunk({"content": text}) for text in ("a", "", '"q"\n', "é", "\U0001f600", "b" * 5000)]
    assert moulded(said) == [False, *[True] * 5]


def test_a_mould_does_not_outlive_what_the_stream_has_learned() -> None:
    """A stream that tells its model late: from then on all chunks have that name."""
    nameless = {**FIRST, "model": ""}
    said = [chunk({"content": text}) for text in "ab"] + [
        chunk({"content": "c"}, model="other"),
        chunk({"content": "d"}),
    ]
    stream = [orjson.dumps(one) if isinstance(one, dict) else one for one in (nameless, *said, LAST)]
    assert read(a_reader(), stream) == read(a_reader(parsing=True), stream)
    events: list[Event] = []
    a_reader().read_into(events, [(one, b"") for one in stream])
    assert [event.chunk["model"] for event in events] == ["m", "m", "m", "other", "other"]


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_chunk_that_is_shorter_than_its_mould_is_parsed(cut: int) -> None:
    whole = chunk({"content": ""})
    at = whole.index(b'""')
    said = [orjson.dumps(FIRST), chunk({"content": "a"}), whole[: at + 1] + whole[at + 1 + cut :], orjson.dumps(LAST)]
    assert read(a_reader(), said) == read(a_reader(parsing=True), said)


def test_null_usage_is_taken_off_without_parsing() -> None:
    said = [chunk({"content": text}, usage=None) for text in ("a", "b")]
    events: list[Event] = []
    a_reader().read_into(events, [(one, b"") for one in (orjson.dumps(FIRST), *said)])
    assert isinstance(events[2], MouldedEvent)
    assert (events[2].raw, events[2].chunk) == (chunk({"content": "b"}), orjson.loads(chunk({"content": "b"})))


def test_thoughts_and_text_each_find_their_mould() -> None:
    thoughts = [chunk({"content": None, "reasoning_content": text}) for text in "abc"]
    text = [chunk({"content": text, "reasoning_content": None}) for text in "abc"]
    assert moulded([*thoughts, *text]) == [False, True, True] * 2


@pytest.mark.parametrize(
    "other",
    [
        chunk({"content": "b"}).replace(b'"b"', b"null"),
        chunk({"content": "b"}).replace(b'"b"', b'["b"]'),
        chunk({"content": "b", "tool_calls": []}),
        chunk({"content": "b"}).replace(b'"b"', b'"\\ud83d"'),
        chunk({"content": "b"}).replace(b'"b"', b'"b","content":"c"'),
        chunk({"content": "b"}, usage={"prompt_tokens": 1}),
        chunk({"content": "b"}, model="other"),
    ],
)
def test_what_differs_in_more_than_its_text_is_parsed(other: bytes) -> None:
    assert moulded([chunk({"content": "a"}), chunk({"content": "a"}), other])[:3] == [False, True, False]


def test_a_stream_whose_chunks_always_differ_is_not_looked_at_for_ever() -> None:
    reader, events = a_reader(), list[Event]()
    said = [chunk({"content": "a"}, obfuscation=str(number)) for number in range(MOST_MOULDS + 5)]
    reader.read_into(events, [(one, b"") for one in (orjson.dumps(FIRST), *said)])
    assert (len(events), reader._moulds_left) == (MOST_MOULDS + 6, 0)
    assert not any(isinstance(event, MouldedEvent) for event in events)


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"delta":{"content":"a"}}],"x":{"content":"a"}}',
        b'{"x":"\\"content\\":\\"a\\"","choices":[{"delta":{"c\\u006fntent":"a"}}]}',
        b'{"x\\"content":"a","choices":[{"delta":{"c\\u006fntent":"a"}}]}',
        b'{"choices":[{"delta":{"content":"z"}}],"choices":[{"delta":{"c\\u006fntent":"a"}}]}',
        b'{"choices":[{"delta":{"content":"a","reasoning":"b"}}]}',
        b'{"choices":[{"delta":{"content":1}}]}',
        b'{"choices":[{"delta":{"content":"a"}}],"usage":{"total_tokens":1}}',
        b'{"usage":null,"choices":[{"delta":{"content":"a"}}]}',
    ],
)
def test_there_is_no_mould_where_it_is_not_proven(data: bytes) -> None:
    decoded = orjson.loads(data)
    decoded.pop("usage", None)
    assert mould_of(data, decoded) is None
