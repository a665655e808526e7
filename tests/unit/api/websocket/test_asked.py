"""Frames of a client, taken apart."""

from typing import Any

import pytest

from llm_service.api.websocket.asked import credit_in, cursor_in, first_credit_in, id_in, options_in, request_in
from llm_service.domain import ANY_ANSWER, InvalidValue, LLMServiceError, MissingParameter

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize("name", ["a", "ä" * 128, "a b"])
def test_an_id_is_a_short_text(name: str) -> None:
    assert id_in({"id": name}) == name


@pytest.mark.parametrize("name", ["", "a" * 129, "a\nb", 1, ["a"], True])
def test_anything_else_is_no_id(name: object) -> None:
    with pytest.raises(InvalidValue):
        id_in({"id": name})


def test_a_request_is_always_streamed_and_keeps_its_fields() -> None:
    request = request_in({"request": {**REQUEST, "stream": False, "seed": 1}}, 99)
    assert (request.stream, request.body["seed"], request.body["stream"], request.body_bytes) == (True, 1, True, 99)


def test_all_options() -> None:
    options = options_in(
        {
            "options": {
                "idempotency_key": "k",
                "cache_control": "no-cache, max-age=5",
                "user": "anna",
                "tags": {"team": "search"},
                "timeout_s": 3,
                "on_disconnect": "finish",
                "credit": 7,
                "traceparent": "00-x",
                "tracestate": "a=1",
            }
        }
    )
    assert (options.idempotency_key, options.user, options.tags) == ("k", "anna", {"team": "search"})
    assert (options.timeout_s, options.on_disconnect) == (3, "finish")
    assert (options.control.no_cache, options.control.max_age_s) == (True, 5)
    assert options.trace == ("00-x", "a=1")


@pytest.mark.parametrize("frame", [{}, {"options": None}, {"options": {}}, {"options": {"user": None, "tags": None}}])
def test_options_may_be_left_out(frame: dict[str, Any]) -> None:
    options = options_in(frame)
    assert (options.user, options.control, options.timeout_s, dict(options.tags)) == (None, ANY_ANSWER, None, {})
    assert first_credit_in(frame) is None


@pytest.mark.parametrize("chunks", [0, -1, 1.5, True, None, "3", 10**10])
def test_credit_is_a_whole_number(chunks: object) -> None:
    with pytest.raises(InvalidValue):
        credit_in({"chunks": chunks})


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ({}, MissingParameter),
        ({"stream_id": 1}, InvalidValue),
        ({"stream_id": "s", "after": 1.5}, InvalidValue),
        ({"stream_id": "s", "after": True}, InvalidValue),
        ({"stream_id": "s", "after": {}}, InvalidValue),
    ],
)
def test_a_place_in_a_stream_is_named_in_full(frame: dict[str, Any], error: type[LLMServiceError]) -> None:
    with pytest.raises(error):
        cursor_in(frame)


def test_a_place_is_a_number_a_cursor_or_the_beginning() -> None:
    assert cursor_in({"stream_id": "s"}) == ("s", None)
    assert cursor_in({"stream_id": "s", "after": 3}) == ("s", 3)
    assert cursor_in({"stream_id": "s", "after": "s.3"}) == ("s", "s.3")
