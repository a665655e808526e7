"""What was asked and answered: in the conventions' form, redacted, cut, and whatever form the answer has."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import (
    MASK,
    Event,
    ModelRequest,
    Secret,
    chat_request,
    completion_request,
    embedding_request,
)
from llm_service.observability import Contents, Redaction, Spoken
from llm_service.observability.contents import MARGIN, PART_BYTES
from tests.support.generations import ScriptedSource

KEY = "sk-proj-0123456789abcdefghij"
CREDENTIAL = "canary7credential8without9form"
CHAT = chat_request({"model": "m", "messages": [{"role": "user", "content": "Where?"}]})
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm.",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "A cat."},
]


def spoken(request: ModelRequest = CHAT, *, max_bytes: int = 1000) -> Spoken:
    return Contents(max_bytes=max_bytes, redaction=Redaction([Secret(CREDENTIAL)])).of(request)


def asking(*texts: str) -> ModelRequest:
    return chat_request({"model": "m", "messages": [{"role": "user", "content": text} for text in texts]})


def whole(**message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return orjson.dumps({"choices": [choice]})


def parts_of(told: str) -> list[dict[str, Any]]:
    return [part for message in orjson.loads(told or "[]") for part in message["parts"]]


def answer_to_whole(raw: bytes, request: ModelRequest = CHAT) -> list[dict[str, Any]]:
    one = spoken(request)
    one.hear_whole(ScriptedSource(whole=raw))
    return parts_of(one.said("stop").answer)


def streamed(pieces: Sequence[dict[str, Any]], *, max_bytes: int = 1000) -> str:
    one = spoken(max_bytes=max_bytes)
    for number, delta in enumerate(pieces):
        one.hear(Event(number + 1, orjson.dumps({"choices": [{"index": 0, "delta": delta}]})))
    return one.said("stop").answer


def test_messages_have_the_form_of_the_conventions() -> None:
    told = spoken(chat_request({"model": "m", "messages": MESSAGES})).said("stop").prompt
    assert orjson.loads(told) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
                {"type": "image_url"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm."},
                {"type": "tool_call", "id": "c1", "name": "look", "arguments": "{}"},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "A cat."}]},
    ]


def test_a_whole_answer_and_how_it_ended() -> None:
    one = spoken()
    one.hear_whole(ScriptedSource(whole=whole(content="There.")))
    assert orjson.loads(one.said("stop").answer) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "There."}], "finish_reason": "stop"}
    ]


def test_a_stream_is_put_together_from_its_first_choice() -> None:
    one = spoken()
    for number, text in enumerate(("The", "re", ".")):
        for index in (0, 1):
            raw = orjson.dumps({"choices": [{"index": index, "delta": {"content": text}}]})
            one.hear(Event(number + 1, raw))
    one.hear(Event(4, b'{"choices":[],"usage":{}}', "usage"))
    (answer,) = orjson.loads(one.said(None).answer)
    assert (answer["parts"], answer["finish_reason"]) == ([{"type": "text", "content": "There."}], "error")


def test_reasoning_and_calls_of_tools_in_pieces_become_one_part_each() -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        return {
            "tool_calls": [
                {"index": index, **({"id": f"c{index}"} if "name" in function else {}), "function": function}
            ]
        }

    told = streamed(
        [
            {"reasoning_content": "H"}, {"reasoning_content": "m."}, call(0, name="find"), call(0, arguments='{"wh'),
            call(1, name="look"), call(0, arguments='at":1}'), call(1, arguments="{}"),
        ]
    )  # fmt: skip
    assert parts_of(told) == [
        {"type": "reasoning", "content": "Hm."},
        {"type": "tool_call", "id": "c0", "name": "find", "arguments": '{"what":1}'},
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": "{}"},
    ]
    assert answer_to_whole(whole(content=None, refusal="No.")) == [{"type": "text", "content": "No."}]


def test_prompts_of_other_operations_and_no_numbers() -> None:
    completion = completion_request({"model": "m", "prompt": "Once"})
    assert parts_of(spoken(completion).said("stop").prompt) == [{"type": "text", "content": "Once"}]
    assert answer_to_whole(b'{"choices":[{"index":0,"text":" upon"}]}', completion) == [
        {"type": "text", "content": " upon"}
    ]
    embedding = embedding_request({"model": "m", "input": ["a", "b"]})
    assert [part["content"] for part in parts_of(spoken(embedding).said("stop").prompt)] == ["a", "b"]
    assert answer_to_whole(b'{"data":[{"embedding":[0.1]}]}', embedding) == []


def test_a_request_without_an_answer() -> None:
    one = spoken()
    one.hear_whole(None)
    assert one.said("stop").answer == ""


@pytest.mark.parametrize(
    "raw",
    [b"null", b"[]", b'{"choices":{}}', b'{"choices":[null,7]}', b'{"choices":[{"message":"x"}]}',
     b'{"choices":[{"message":{"content":[1],"tool_calls":[null]}}]}'],
)  # fmt: skip
def test_an_answer_of_another_form_says_nothing(raw: bytes) -> None:
    assert answer_to_whole(raw) == []


def test_an_answer_that_is_no_json_is_what_was_said() -> None:
    assert answer_to_whole(b"<html>") == [{"type": "text", "content": "<html>"}]


@pytest.mark.parametrize("before", ["", "my key:\n", "a\t", '"', "\\", "x" * 990])
@pytest.mark.parametrize("secret", [KEY, CREDENTIAL, CREDENTIAL[-8:]])
def test_no_key_is_told_wherever_it_stands_and_wherever_the_bound_cuts(before: str, secret: str) -> None:
    text = f"{before}{' ' if before.endswith('x') else ''}{secret} and {'more ' * 400}"
    call = {"id": secret, "function": {"name": secret, "arguments": orjson.dumps({"key": text}).decode()}}
    tools = [{"type": "function", "function": {"name": "look", "description": f"{before[:90]} {secret}"}}]
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    body = {"model": "m", "tools": tools, "messages": messages}
    for request in (chat_request(body), chat_request({**body, "messages": messages[::-1]})):
        one = spoken(request)
        one.hear_whole(ScriptedSource(whole=whole(content=text, tool_calls=[call])))
        said = one.said("stop")
        for told in (said.prompt, said.answer, said.tools, streamed([{"content": piece} for piece in text])):
            assert secret[:8] not in told
            assert MASK in told or "[cut:" in told
            orjson.loads(told)


@given(st.lists(st.text()), st.integers(1, 2000))
def test_texts_are_cut_at_the_bound_and_say_so(texts: list[str], max_bytes: int) -> None:
    texts = [*(f"{text} " for text in texts), "x" * (max_bytes + 1)]
    said = spoken(asking(*texts), max_bytes=max_bytes).said("stop")
    parts = [part["content"] for part in parts_of(said.prompt)]
    assert parts[-1].endswith(f" of {sum(len(text.encode('utf-8', 'replace')) for text in texts)} bytes]")
    kept, _, _ = "".join(parts).rpartition(" [cut: ")
    assert len(kept.encode()) <= max_bytes


def test_what_fits_is_told_whole() -> None:
    texts = ["a" * 400, "b" * (600 - PART_BYTES)]
    assert [part["content"] for part in parts_of(spoken(asking(*texts)).said("stop").prompt)] == texts


def test_parts_without_words_are_bounded_as_well() -> None:
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}] * 10_000
    messages = [{"role": "user", "content": images}]
    assert len(spoken(chat_request({"model": "m", "messages": messages})).said("stop").prompt) < 2000


def test_what_a_stream_says_beyond_the_bound_is_counted_and_not_kept() -> None:
    pieces = [{"content": "word "} for _ in range(1000)] + [{"tool_calls": [{"index": 0, "function": {"name": "f"}}]}]
    told = streamed(pieces, max_bytes=100)
    (part,) = parts_of(told)
    assert part["content"].endswith(" [cut: 100 of 5000 bytes]")
    one = spoken(max_bytes=100)
    for number, delta in enumerate(pieces):
        one.hear(Event(number + 1, orjson.dumps({"choices": [{"index": 0, "delta": delta}]})))
    assert sum(map(len, one._answer["text", 0].texts)) <= 100 + MARGIN
    assert len(one._answer["text", 0].texts) <= 100 + MARGIN


def test_definitions_of_tools_are_told_whole_or_not_at_all() -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"limit": 2**70}}}]
    body = {"model": "m", "messages": MESSAGES, "tools": tools}
    assert orjson.loads(spoken(chat_request(body)).said("stop").tools)[0]["type"] == "function"
    assert spoken(chat_request(body), max_bytes=20).said("stop").tools == ""
