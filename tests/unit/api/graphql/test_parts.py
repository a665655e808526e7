"""The small parts of the door: media types, trusted documents, bodies and options."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_service.api.graphql.chat_body import chat_request_of, embedding_request_of, options_of
from llm_service.api.graphql.chat_inputs import (
    CallOptionsInput,
    ChatInput,
    EmbedInput,
    FunctionInput,
    MessageInput,
    ReasoningInput,
    ResponseFormatInput,
    TagInput,
    ToolChoiceInput,
    ToolInput,
)
from llm_service.api.graphql.enums import (
    MessageRole,
    OnDisconnectWord,
    ReasoningEffort,
    ResponseFormatType,
    ToolChoiceMode,
)
from llm_service.api.graphql.negotiation import EVENTS, JSON, RESPONSE, NotAcceptable, media_type, takes_page
from llm_service.api.graphql.trusted import TrustedDocuments, digest_of, read_documents
from llm_service.domain import InvalidDocument, InvalidValue

ME = "{ me { keyId } }"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, RESPONSE),
        (b"", RESPONSE),
        (b"*/*", RESPONSE),
        (b"application/json", JSON),
        (b"application/*;q=0.1", RESPONSE),
        (b"text/event-stream, */*;q=0.1", EVENTS),
        (b"application/json;q=0.9, application/graphql-response+json;q=0.8", JSON),
        (b"Application/JSON; charset=utf-8", JSON),
        (b"text/html, application/json;q=x, */*;q=0.1", RESPONSE),
    ],
)
def test_the_form_is_what_the_client_likes_most(accept: bytes | None, expected: str) -> None:
    assert media_type(accept) == expected


@pytest.mark.parametrize("accept", [b"text/html", b"text/*", b"*/*;q=0", b"image/png, application/json;q=0"])
def test_nobody_gets_what_is_not_acceptable(accept: bytes) -> None:
    with pytest.raises(NotAcceptable):
        media_type(accept)


def test_browsers_ask_for_a_page() -> None:
    assert takes_page(b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
    assert not takes_page(b"*/*")
    assert not takes_page(None)


def test_trusted_documents_are_found_by_id_and_by_their_hash(tmp_path: Path) -> None:
    (tmp_path / "me.graphql").write_text(ME)
    (tmp_path / "other.txt").write_text("{ no }")
    trusted = TrustedDocuments(read_documents(tmp_path), only=True)
    for named in ("me", digest_of(ME), f"sha256:{digest_of(ME)}"):
        assert trusted.text(None, named) == ME
    assert trusted.text(ME, None) == trusted.text(ME, "me") == ME
    with pytest.raises(InvalidDocument):
        trusted.text(None, "other")
    with pytest.raises(InvalidDocument):
        trusted.text("{ health { status } }", None)
    with pytest.raises(InvalidValue):
        trusted.text("{ health { status } }", "me")


def test_trusted_documents_may_be_a_json_file_and_others_be_taken_too(tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    file.write_text(json.dumps({"a-1": ME}))
    trusted = TrustedDocuments(read_documents(file), only=False)
    assert trusted.text(None, "a-1") == ME
    assert trusted.text("{ other }", None) == "{ other }"
    with pytest.raises(InvalidValue):
        trusted.text(None, None)
    for wrong in ("[]", '{"a b": ""}', '{"a": 1}'):
        file.write_text(wrong)
        with pytest.raises(ValueError, match="JSON object"):
            read_documents(file)


def test_an_input_becomes_the_body_of_rest() -> None:
    given = ChatInput(
        model="fast",
        messages=[
            MessageInput(role=MessageRole.USER, content="hi", name="eve"),
            MessageInput(
                role=MessageRole.TOOL, parts=[{"type": "text", "text": "t"}], tool_call_id="c1", extra={"x": 1}
            ),  # type: ignore[list-item, arg-type]
        ],
        max_tokens=5,
        stop=["a"],
        tools=[ToolInput(function=FunctionInput(name="f", strict=True))],
        tool_choice=ToolChoiceInput(function="f"),
        reasoning=ReasoningInput(effort=ReasoningEffort.LOW),
        response_format=ResponseFormatInput(type=ResponseFormatType.JSON_OBJECT),
        extra={"top_k": 3},  # type: ignore[arg-type]
    )
    request = chat_request_of(given, stream=True)
    assert request.body == {
        "model": "fast",
        "messages": [
            {"role": "user", "content": "hi", "name": "eve"},
            {"role": "tool", "content": [{"type": "text", "text": "t"}], "tool_call_id": "c1", "x": 1},
        ],
        "max_tokens": 5,
        "stop": ["a"],
        "tools": [{"type": "function", "function": {"name": "f", "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "top_k": 3,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (request.stream, request.include_usage) == (True, True)
    assert request.body_bytes > 200


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"tool_choice": ToolChoiceInput(mode=ToolChoiceMode.REQUIRED)}, {"tool_choice": "required"}),
        ({"reasoning": ReasoningInput(max_tokens=9)}, {"reasoning": {"max_tokens": 9}}),
        ({"reasoning": ReasoningInput()}, {}),
        (
            {"reasoning": ReasoningInput(effort=ReasoningEffort.HIGH, exclude=True)},
            {"reasoning": {"effort": "high", "exclude": True}},
        ),
    ],
)
def test_what_has_a_form_of_its_own_gets_the_one_of_rest(fields: Any, body: Any) -> None:
    message = MessageInput(role=MessageRole.USER, content="hi")
    made = chat_request_of(ChatInput(model="m", messages=[message], **fields), stream=False).body
    assert made == {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}


def test_vectors_are_asked_for_as_numbers() -> None:
    request = embedding_request_of(EmbedInput(model="m", input=["a"], dimensions=3))
    assert request.body == {"model": "m", "input": ["a"], "dimensions": 3, "encoding_format": "float"}


def test_options_say_what_headers_say() -> None:
    said = options_of(
        CallOptionsInput(
            idempotency_key="k",
            cache_control="no-cache",
            user="eve",
            tags=[TagInput(name="team", value="search")],
            timeout_s=2.5,
            on_disconnect=OnDisconnectWord.FINISH,
            traceparent="00-x",
            tracestate="a=1",
        )
    )
    assert said.trace == ("00-x", "a=1")
    assert (said.idempotency_key, said.control.no_cache, said.user) == ("k", True, "eve")
    assert (dict(said.tags), said.timeout_s, said.on_disconnect) == ({"team": "search"}, 2.5, "finish")


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = []
    for _ in range(2000):
        deep = [deep]
    message = MessageInput(role=MessageRole.USER, parts=[deep])
    with pytest.raises(InvalidValue):
        chat_request_of(ChatInput(model="m", messages=[message]), stream=False)
