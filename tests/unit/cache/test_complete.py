"""Which answers are kept."""

import json
from typing import Any

import pytest

from llm_service.cache import may_keep_events, may_keep_whole
from llm_service.domain import Event, EventKind, Operation, Outcome, OutcomeStatus, UpstreamError

OK = Outcome(status="ok", finish_reason="stop")
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ERROR = UpstreamError("The provider failed.")


def kept(body: Any, outcome: Outcome = OK, *, operation: Operation = "chat", max_bytes: int = 10_000) -> bool:
    return may_keep_whole(operation, json.dumps(body).encode(), outcome, max_bytes=max_bytes)


def chat(*choices: tuple[dict[str, Any], str | None]) -> dict[str, Any]:
    return {
        "choices": [
            {"index": index, "message": {"role": "assistant", **message}, "finish_reason": reason}
            for index, (message, reason) in enumerate(choices)
        ]
    }


def stream(*chunks: tuple[EventKind, dict[str, Any]]) -> list[Event]:
    return [Event(seq, json.dumps(chunk).encode(), kind) for seq, (kind, chunk) in enumerate(chunks, 1)]


def streamed(delta: dict[str, Any], reason: str | None = "stop") -> list[Event]:
    return stream(
        ("chunk", {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
        ("chunk", {"choices": []}),
        ("chunk", {"choices": [{"index": 0, "delta": delta}]}),
        ("finish", {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}),
        ("usage", {"choices": [], "usage": {}}),
    )


SAID = [
    {"content": "Hi"},
    {"content": None, "tool_calls": [CALL]},
    {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"content": None, "refusal": "No."},
    {"content": None, "audio": {"id": "a"}},
]
UNSAID = [{}, {"content": None}, {"content": ""}, {"content": "", "tool_calls": []}, {"content": "", "reasoning": "Hm"}]


@pytest.mark.parametrize("message", SAID)
def test_an_answer_that_says_something_is_kept(message: dict[str, Any]) -> None:
    assert kept(chat((message, "stop")))
    assert may_keep_events(streamed(message), OK, max_bytes=10_000)


@pytest.mark.parametrize("message", UNSAID)
def test_an_empty_answer_is_not(message: dict[str, Any]) -> None:
    assert not kept(chat((message, "stop")))
    assert not may_keep_events(streamed(message), OK, max_bytes=10_000)


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call"])
def test_an_answer_that_came_to_its_end_is_kept(reason: str) -> None:
    assert kept(chat(({"content": "Hi"}, reason)))
    assert may_keep_events(streamed({"content": "Hi"}, reason), OK, max_bytes=10_000)


@pytest.mark.parametrize("reason", ["length", "content_filter", "error", "", None])
def test_one_that_was_cut_off_or_filtered_is_not(reason: str | None) -> None:
    assert not kept(chat(({"content": "Hi"}, reason)))
    assert not may_keep_events(streamed({"content": "Hi"}, reason), OK, max_bytes=10_000)


def test_every_choice_must_have_ended_and_one_must_say_something() -> None:
    assert kept(chat(({"content": ""}, "stop"), ({"content": "Hi"}, "stop")))
    assert not kept(chat(({"content": "Hi"}, "stop"), ({"content": "Hi"}, "length")))
    assert not kept(chat())
    ends = [{"index": 0, "delta": {}, "finish_reason": "stop"}, {"index": 1, "delta": {}, "finish_reason": "length"}]
    events = stream(("chunk", {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}), ("finish", {"choices": ends}))
    assert not may_keep_events(events, OK, max_bytes=10_000)


@pytest.mark.parametrize("status", ["error", "aborted", "refused", "interrupted"])
def test_nothing_is_kept_of_what_did_not_end_well(status: OutcomeStatus) -> None:
    outcome = Outcome(status=status, finish_reason="stop")
    assert not kept(chat(({"content": "Hi"}, "stop")), outcome)
    assert not may_keep_events(streamed({"content": "Hi"}), outcome, max_bytes=10_000)
    assert not kept({"data": [{"embedding": [0.5]}]}, outcome, operation="embedding")


def test_nothing_is_kept_that_the_provider_complained_about() -> None:
    outcome = Outcome(status="ok", finish_reason="stop", late_error=ERROR)
    assert not kept(chat(({"content": "Hi"}, "stop")), outcome)
    assert not may_keep_events(streamed({"content": "Hi"}), outcome, max_bytes=10_000)


def test_a_stream_without_its_finish_or_with_an_error_is_not_kept() -> None:
    events = streamed({"content": "Hi"})
    assert not may_keep_events(events[:3], OK, max_bytes=10_000)
    assert not may_keep_events([*events, Event(6, b"", "error", error=ERROR)], OK, max_bytes=10_000)
    assert not may_keep_events([], OK, max_bytes=10_000)


def test_a_text_completion_is_kept_by_its_text() -> None:
    def text(text: str) -> dict[str, Any]:
        return {"choices": [{"index": 0, "text": text, "finish_reason": "stop"}]}

    assert kept(text("Hi"), operation="completion")
    assert not kept(text(""), operation="completion")
    finish = ("finish", {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    said = ("chunk", {"choices": [{"index": 0, "text": "Hi", "finish_reason": None}]})
    assert may_keep_events(stream(said, finish), OK, max_bytes=10_000)
    assert not may_keep_events(stream(finish), OK, max_bytes=10_000)


def test_embeddings_are_kept_when_there_are_some() -> None:
    assert kept({"data": [{"embedding": [0.5]}]}, operation="embedding")
    assert not kept({"data": []}, operation="embedding")
    assert not kept({}, operation="embedding")


def test_what_is_larger_than_allowed_is_not_kept() -> None:
    body = chat(({"content": "Hi"}, "stop"))
    size = len(json.dumps(body))
    assert kept(body, max_bytes=size)
    assert not kept(body, max_bytes=size - 1)
    events = streamed({"content": "Hi"})
    size = sum(len(event.raw) for event in events)
    assert may_keep_events(events, OK, max_bytes=size)
    assert not may_keep_events(events, OK, max_bytes=size - 1)


def test_what_cannot_be_read_is_not_kept() -> None:
    whole = rb'{"choices": [{"message": {"content": "\ud800"}, "finish_reason": "stop"}]}'
    assert not may_keep_whole("chat", whole, OK, max_bytes=10_000)
