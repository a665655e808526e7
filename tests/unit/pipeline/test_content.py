"""What was asked and answered, for the log: cut, and whatever form the answer has."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Event, chat_request, completion_request, embedding_request
from llm_service.pipeline.content import Spoken, Words
from tests.support.generations import ScriptedSource

ASKED = [{"role": "user", "content": "Where?"}]
CHAT = chat_request({"model": "m", "messages": ASKED})


def whole(**message: Any) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, "message": {"role": "assistant", **message}}]})


def answer_to_whole(raw: bytes) -> str:
    spoken = Spoken(CHAT, max_bytes=100)
    spoken.hear_whole(ScriptedSource(whole=raw))
    return spoken.said().answer


def test_a_whole_answer_and_its_question() -> None:
    spoken = Spoken(CHAT, max_bytes=100)
    spoken.hear_whole(ScriptedSource(whole=whole(content="There.")))
    assert orjson.loads(spoken.said().prompt) == ASKED
    assert spoken.said().answer == "There."


def test_a_stream_is_put_together_from_its_first_choice() -> None:
    spoken = Spoken(CHAT, max_bytes=100)
    for number, text in enumerate(("The", "re", ".")):
        for index in (0, 1):
            raw = orjson.dumps({"choices": [{"index": index, "delta": {"content": text}}]})
            spoken.hear(Event(number + 1, raw))
    spoken.hear(Event(4, b'{"choices":[],"usage":{}}', "usage"))
    assert spoken.said().answer == "There."


def test_calls_of_tools_and_refusals_are_words_as_well() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"what":1}'}}
    assert answer_to_whole(whole(content=None, tool_calls=[call])) == 'find{"what":1}'
    assert answer_to_whole(whole(content=None, refusal="No.")) == "No."


def test_prompts_of_other_operations_and_no_numbers() -> None:
    completion = Spoken(completion_request({"model": "m", "prompt": "Once"}), max_bytes=100)
    completion.hear_whole(ScriptedSource(whole=b'{"choices":[{"index":0,"text":" upon"}]}'))
    assert (completion.said().prompt, completion.said().answer) == ("Once", " upon")
    embedding = Spoken(embedding_request({"model": "m", "input": ["a", "b"]}), max_bytes=100)
    embedding.hear_whole(ScriptedSource(whole=b'{"data":[{"embedding":[0.1]}]}'))
    assert (embedding.said().prompt, embedding.said().answer) == ('["a","b"]', "")


def test_a_request_without_an_answer() -> None:
    spoken = Spoken(CHAT, max_bytes=100)
    spoken.hear_whole(None)
    assert spoken.said().answer == ""


@pytest.mark.parametrize(
    "raw",
    [b"null", b"[]", b'{"choices":{}}', b'{"choices":[null,7]}', b'{"choices":[{"message":"x"}]}',
     b'{"choices":[{"message":{"content":[1],"tool_calls":[{"function":[]},null]}}]}'],
)  # fmt: skip
def test_an_answer_of_another_form_says_nothing(raw: bytes) -> None:
    assert answer_to_whole(raw) == ""


def test_an_answer_that_is_no_json_is_what_was_said() -> None:
    assert answer_to_whole(b"<html>") == "<html>"


@given(st.lists(st.text()), st.integers(1, 40))
def test_words_are_cut_at_the_bound_and_say_so(pieces: list[str], max_bytes: int) -> None:
    words = Words(max_bytes)
    for piece in pieces:
        words.add(piece)
    text = "".join(pieces)
    raw = text.encode("utf-8", "replace")
    if len(raw) <= max_bytes:
        assert str(words) == raw.decode()
    else:
        assert str(words) == f"{raw[:max_bytes].decode(errors='ignore')} [cut: {max_bytes} of {len(raw)} bytes]"
