"""Whole answers: what is mended, what is refused, and that nothing else is touched."""

import json
from typing import Any

import pytest

from llm_service.cache import may_keep_whole
from llm_service.domain import Operation, UpstreamError, UpstreamInvalidResponse
from llm_service.providers import ProviderOptions, dialect_for
from llm_service.providers.base import Answer
from tests.support.clock import ManualClock
from tests.support.transcripts import a_call

GOOD: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1790000000,
    "model": "acme-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}],
}
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(raw: bytes, operation: str = "chat", server: str = "generic") -> Answer:
    return dialect_for(server, ProviderOptions(), ManualClock()).answer(raw, a_call(operation))


def mended(answer: dict[str, Any], operation: str = "chat", server: str = "generic") -> dict[str, Any]:
    made: dict[str, Any] = json.loads(read(json.dumps(answer).encode(), operation, server).raw)
    return made


def with_message(finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    return {**GOOD, "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def test_good_answer_keeps_its_bytes_but_for_the_blank_lines_around_it() -> None:
    raw = json.dumps(GOOD, indent=1).encode()
    assert read(b"\n\n " + raw + b"\n").raw == raw


def test_unknown_members_stay_when_something_is_mended() -> None:
    told = {**GOOD, "created": 1.5, "timings": {"a": 1}}
    assert mended(told) == {**told, "created": 1}


def test_what_is_missing_around_the_choices_is_made_up() -> None:
    made = mended({"choices": GOOD["choices"]})
    assert (made["object"], made["created"], made["model"]) == ("chat.completion", 0, "asked/model")
    assert made["id"].startswith("chatcmpl-")
    assert mended({"choices": [{"text": None}]}, "completion")["id"].startswith("cmpl-")


def test_own_id_takes_the_place_of_one_that_repeats() -> None:
    answer = read(json.dumps(GOOD).encode(), server="ollama")
    assert json.loads(answer.raw)["id"] != "c1"
    assert answer.outcome.upstream_id == "c1"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"content": "a"}, {"role": "assistant", "content": "a"}),
        ({"role": "assistant"}, {"role": "assistant", "content": None}),
        ({"role": "assistant", "content": "a", "tool_calls": []}, {"role": "assistant", "content": "a"}),
        ({"role": "assistant", "content": "a", "tool_calls": None}, {"role": "assistant", "content": "a"}),
        ({"role": "assistant", "content": []}, {"role": "assistant", "content": ""}),
        (
            {"role": "assistant", "content": ["a", {"type": "thinking", "thinking": "b"}, {"text": None}, 5]},
            {"role": "assistant", "content": "a", "reasoning_content": "b"},
        ),
    ],
)
def test_message_comes_in_openais_form(told: dict[str, Any], message: dict[str, Any]) -> None:
    assert mended(with_message(**told))["choices"][0]["message"] == message


@pytest.mark.parametrize(
    ("told", "reason", "native"),
    [("stop", "stop", None), ("eos", "stop", "eos"), ("model_length", "length", "model_length"), (None, "stop", None)],
)
def test_finish_reason_is_one_that_clients_know(told: str | None, reason: str, native: str | None) -> None:
    choice = mended(with_message(told, role="assistant", content="a"))["choices"][0]
    assert (choice["finish_reason"], choice.get("native_finish_reason")) == (reason, native)


@pytest.mark.parametrize(("told", "reason"), [("stop", "tool_calls"), (None, "tool_calls"), ("length", "length")])
def test_stop_with_a_tool_call_is_a_tool_call(told: str | None, reason: str) -> None:
    answer = read(json.dumps(with_message(told, role="assistant", content=None, tool_calls=[CALL])).encode())
    assert answer.outcome.finish_reason == json.loads(answer.raw)["choices"][0]["finish_reason"] == reason


def test_choice_without_an_index_gets_its_place() -> None:
    message = {"role": "assistant", "content": "a"}
    told = {**GOOD, "choices": [{"message": message, "finish_reason": "stop"}] * 2}
    assert [choice["index"] for choice in mended(json.loads(json.dumps(told)))["choices"]] == [0, 1]


def test_text_completion_has_text() -> None:
    told = {**GOOD, "object": "text_completion", "choices": [{"index": 0, "text": None, "finish_reason": "stop"}]}
    assert mended(told, "completion")["choices"][0]["text"] == ""


@pytest.mark.parametrize(
    "raw",
    [
        *(b"nul", b"[]", b"1", b"{}", b'"a"', b"<html></html>", b'{"choices": []}', b'{"choices": {}}'),
        *(b'{"choices": [1]}', b'{"choices": [{"message": null}]}', b'{"choices": [{"text": "a"}]}'),
    ],
)
def test_what_is_no_answer_is_an_invalid_response(raw: bytes) -> None:
    with pytest.raises(UpstreamInvalidResponse):
        read(raw)


def test_embeddings_without_data_are_an_invalid_response() -> None:
    with pytest.raises(UpstreamInvalidResponse):
        read(b'{"object": "list"}', "embedding")


@pytest.mark.parametrize("raw", [b'[{"error": {"message": "a"}}]', b'{"error": "a"}', b'{"object": "error"}'])
def test_error_in_an_answer_is_an_error(raw: bytes) -> None:
    with pytest.raises(UpstreamError):
        read(raw)


def test_half_a_character_is_passed_on_as_it_was_written() -> None:
    made = read(json.dumps(with_message(role="assistant", content="a\ud83d")).encode())
    assert b"a\\ud83d" in made.raw
    assert not is_kept(made)


def is_kept(answer: Answer, operation: Operation = "chat", *, looks_again: bool = False) -> bool:
    """Whether the cache keeps it; by what is known of it already, or by its JSON."""
    known = None if looks_again else answer.is_complete
    return may_keep_whole(operation, answer.raw, answer.outcome, max_bytes=10_000, is_complete=known)


@pytest.mark.parametrize("finish", ["stop", "eos", "tool_call", "length", "safety", None])
@pytest.mark.parametrize("content", ["a", "", None, [{"type": "text", "text": "a"}], [{"thinking": "a"}]])
@pytest.mark.parametrize("also", [{}, {"tool_calls": []}, {"tool_calls": [CALL]}, {"refusal": "no"}])
def test_what_is_known_of_an_answer_is_what_its_json_says(
    finish: str | None, content: Any, also: dict[str, Any]
) -> None:
    made = read(json.dumps(with_message(finish, content=content, **also)).encode())
    assert made.is_complete is is_kept(made, looks_again=True)
    several = {**GOOD, "choices": [*GOOD["choices"], *with_message(finish, content=content)["choices"]]}
    made = read(json.dumps(several).encode())
    assert made.is_complete is is_kept(made, looks_again=True)


@pytest.mark.parametrize("data", [[], [{"embedding": [0.5]}]])
def test_embeddings_are_complete_when_there_are_some(data: list[Any]) -> None:
    made = read(json.dumps({"object": "list", "data": data}).encode(), "embedding")
    assert made.is_complete is is_kept(made, "embedding", looks_again=True) is bool(data)


@pytest.mark.parametrize("beside", [{"message": "x"}, {"message": ["x"]}, {"delta": 1}])
def test_a_text_completion_may_have_anything_beside_its_text(beside: dict[str, Any]) -> None:
    answer = {"id": "c1", "object": "text_completion", "created": 1, "model": "m"}
    told = {**answer, "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop", **beside}]}
    got = read(json.dumps(told).encode(), "completion")
    assert (json.loads(got.raw), got.is_complete) == (told, True)
