"""The two forms of an answer: collecting what was split gives the same answer."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Event, LLMServiceError, Outcome
from llm_service.providers.metering import usage_of
from llm_service.streams import collect, split
from tests.support.oracle import client_seen
from tests.support.transcripts import Transcript, transcripts
from tests.unit.providers.test_streams import replay

texts = st.text(max_size=8)
calls = st.fixed_dictionaries(
    {
        "id": texts,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": texts, "arguments": st.just("{}") | texts}),
    },
    optional={"extra_content": st.dictionaries(texts, texts, max_size=2)},
)
details = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning.text", "reasoning.encrypted"])},
    optional={"index": st.integers(0, 1), "text": texts, "data": texts, "signature": texts | st.none()},
)
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": texts | st.none()},
    optional={
        "reasoning": texts | st.none(),
        "reasoning_content": texts,
        "refusal": texts | st.none(),
        "tool_calls": st.lists(calls, min_size=1, max_size=3),
        "reasoning_details": st.lists(details, max_size=3),
        "annotations": st.lists(st.dictionaries(texts, texts, max_size=1), max_size=2),
        "images": st.lists(st.just({"type": "image_url"}), max_size=2),
        "audio": st.fixed_dictionaries({"id": texts, "data": texts, "transcript": texts}),
        "function_call": st.fixed_dictionaries({"name": texts, "arguments": texts}),
    },
)
finishes = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
extras = {
    "native_finish_reason": texts | st.none(),
    "content_filter_results": st.dictionaries(texts, st.booleans(), max_size=1),
    "logprobs": st.none() | st.fixed_dictionaries({"content": st.lists(st.just({"token": "a"}), max_size=2)}),
}
chats = st.fixed_dictionaries({"message": messages, "finish_reason": finishes}, optional=extras)
completions = st.fixed_dictionaries({"text": texts, "finish_reason": finishes}, optional=extras)
counts = st.none() | st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9)})
TOP: dict[str, Any] = {"provider": texts, "service_tier": texts | st.none(), "system_fingerprint": texts | st.none()}


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    chat = draw(st.booleans())
    choices = draw(st.lists(chats if chat else completions, min_size=1, max_size=3))
    usage = draw(counts)
    return {
        "id": draw(st.text(min_size=1, max_size=8)),
        "object": "chat.completion" if chat else "text_completion",
        "created": 1,
        "model": "m",
        **draw(st.fixed_dictionaries({}, optional=TOP)),
        "choices": [{"index": index, **choice} for index, choice in enumerate(choices)],
        **({} if usage is None else {"usage": usage}),
    }


def outcome_of(answer: dict[str, Any]) -> Outcome:
    return Outcome(status="ok", usage=usage_of(answer.get("usage")))


def events_of(answer: dict[str, Any]) -> Sequence[Event]:
    return split(json.dumps(answer).encode(), outcome_of(answer))


@given(answer=answers())
def test_collecting_what_was_split_gives_the_answer(answer: dict[str, Any]) -> None:
    assert json.loads(collect(events_of(answer))) == answer


@given(answer=answers())
def test_split_answer_is_a_stream_of_one_chunk_one_finish_and_the_usage_that_there_is(answer: dict[str, Any]) -> None:
    events = events_of(answer)
    assert [event.kind for event in events] == ["chunk", "finish", "usage"][: 2 + ("usage" in answer)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert all(json.loads(event.raw) == event.chunk for event in events)


@pytest.mark.parametrize("transcript", transcripts("answer"), ids=lambda one: one.name)
def test_answer_of_a_transcript_survives_both_ways(transcript: Transcript) -> None:
    try:
        answer = transcript.dialect.answer(transcript.body, transcript.call)
    except LLMServiceError:
        return  # a failure, which other tests look at
    told = json.loads(answer.raw)
    events = split(answer.raw, answer.outcome)
    if "choices" not in told:
        assert list(events) == []
        return
    client_seen(event.raw for event in events)
    assert without_indexes(json.loads(collect(events))) == without_indexes(told)


@pytest.mark.parametrize(
    "transcript", [one for one in transcripts("stream") if "error" not in one.expected], ids=lambda one: one.name
)
def test_collected_stream_is_an_answer_that_splits_into_the_same_text(transcript: Transcript) -> None:
    replayed = replay(transcript, [transcript.body])
    if replayed.error is not None:
        return
    whole = collect(replayed.events)
    answer = transcript.dialect.answer(whole, transcript.call)
    assert answer.outcome.usage == replayed.outcome.usage
    assert answer.outcome.finish_reason == replayed.outcome.finish_reason
    first, again = (
        client_seen(event.raw for event in events) for events in (replayed.events, split(whole, answer.outcome))
    )
    assert [first.text(kind) for kind in ("content", "reasoning", "refusal")] == [
        again.text(kind) for kind in ("content", "reasoning", "refusal")
    ]
    assert first.calls == again.calls


def without_indexes(answer: dict[str, Any]) -> dict[str, Any]:
    for choice in answer["choices"]:
        for call in choice.get("message", {}).get("tool_calls", []):
            call.pop("index", None)
    return answer


def test_pieces_of_a_reasoning_detail_grow_together() -> None:
    deltas = [
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "a", "signature": None}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "b"}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "z"}]},
    ]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    whole = json.loads(collect([Event(1, json.dumps(chunk).encode()) for chunk in chunks]))
    assert whole["choices"][0]["message"]["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"},
        {"type": "reasoning.encrypted", "data": "z"},
    ]


def test_log_probabilities_of_all_chunks_are_joined() -> None:
    parts = [{"index": 0, "delta": {}, "logprobs": {"content": [{"token": token}]}} for token in "ab"]
    whole = json.loads(collect([Event(1, json.dumps({"choices": [part]}).encode()) for part in parts]))
    assert whole["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}
