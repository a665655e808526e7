import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.api import pieces
from llm_service.api.http_request import HungUp, Message, Receive, credentials_of, headers_of
from llm_service.api.rest.call_headers import timeout_of
from llm_service.api.rest.wire import header_value, json_object, let_pass, read_body
from llm_service.domain import InvalidJson, InvalidRequest, InvalidValue, RequestTooLarge, chat_request


def receiving(*messages: Message) -> Receive:
    return receiving_from([*messages])


def receiving_from(waiting: list[Message]) -> Receive:
    async def receive() -> Message:
        return waiting.pop(0)

    return receive


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_pieces_is_joined() -> None:
    assert await read_body(receiving(piece(b"ab", more=True), piece(b"cd")), {}, 10) == b"abcd"


@pytest.mark.parametrize("pieces", [[piece(b"a" * 11)], [piece(b"a" * 6, more=True), piece(b"a" * 6, more=True)]])
async def test_a_body_beyond_the_bound_is_refused_as_soon_as_it_is(pieces: list[Message]) -> None:
    with pytest.raises(RequestTooLarge, match="10 bytes"):
        await read_body(receiving(*pieces), {}, 10)


async def test_an_announced_length_beyond_the_bound_is_refused_unread() -> None:
    with pytest.raises(RequestTooLarge):
        await read_body(receiving(), {b"content-length": b"11"}, 10)


async def test_what_is_not_wanted_of_a_body_passes_up_to_its_end_or_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "UNWANTED_BYTES", 10)
    ended = [piece(b"a", more=True), piece(b"b")]
    endless = [piece(b"a" * 6, more=True)] * 2
    gone: list[Message] = [piece(b"a", more=True), {"type": "http.disconnect"}]
    for messages in (ended, endless, gone):
        waiting = [*messages, piece(b"not asked for")]
        await let_pass({"headers": []}, receiving_from(waiting))
        assert waiting == [piece(b"not asked for")]


async def test_a_client_that_leaves_in_mid_body_gets_no_answer() -> None:
    with pytest.raises(HungUp):
        await read_body(receiving(piece(b"a", more=True), {"type": "http.disconnect"}), {}, 10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[1]",
        b'"a"',
        b"null",
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b"[" * 5000,
        b'{"a":"\\ud800"}',
        b"{'': 1}",
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        json_object(body)


@pytest.mark.parametrize("value", [b"0", b"-1", b"abc", b"nan", b"inf", b"86401", b""])
def test_a_deadline_that_makes_no_sense_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidValue):
        timeout_of({b"x-llm-timeout-s": value})


def test_a_deadline_is_read_in_seconds() -> None:
    assert (timeout_of({b"x-llm-timeout-s": b"2.5"}), timeout_of({})) == (2.5, None)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({b"authorization": b"Bearer abc"}, "abc"),
        ({b"authorization": b"bearer  abc "}, "abc"),
        ({b"authorization": b"Bearer "}, None),
        ({b"authorization": b"Basic abc"}, "Basic abc"),
        ({b"x-api-key": b"abc"}, "abc"),
        ({b"x-api-key": b""}, None),
        ({b"authorization": b"Bearer ", b"x-api-key": b"abc"}, "abc"),
        ({b"authorization": b"", b"x-api-key": b"abc"}, "abc"),
    ],
)
def test_the_key_is_found_where_clients_put_it(headers: dict[bytes, bytes], key: str | None) -> None:
    assert credentials_of({"method": "POST", "client": None}, headers).key == key


@pytest.mark.parametrize("name", [b"host", b"authorization", b"x-api-key", b"origin", b"content-type"])
def test_a_header_that_decides_who_asks_comes_once(name: bytes) -> None:
    with pytest.raises(InvalidRequest, match=name.decode()):
        headers_of({"http_version": "1.0", "headers": [(name, b"one"), (b"accept", b"*/*"), (name, b"two")]})


def test_other_headers_may_come_again() -> None:
    assert headers_of({"http_version": "1.0", "headers": [(b"accept", b"a"), (b"accept", b"b")]}) == {b"accept": b"b"}


def test_several_states_of_a_trace_are_one_list_and_several_parents_are_none() -> None:
    pairs = [(b"tracestate", b"a=1"), (b"traceparent", b"00-x"), (b"tracestate", b"b=2")]
    once = headers_of({"http_version": "1.0", "headers": pairs})
    assert once == {b"tracestate": b"a=1,b=2", b"traceparent": b"00-x"}
    twice = headers_of({"http_version": "1.0", "headers": [*pairs, (b"traceparent", b"00-x")]})
    assert twice == {b"tracestate": b"a=1,b=2"}


@given(st.text())
def test_a_header_value_never_breaks_its_line(text: str) -> None:
    value = header_value(text) if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text) else b""
    assert not set(value) & set(b"\r\n\0")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": 01}',
        b'{"a": 0x10}',
        b'{"a": 1,}',
        b'{"a": 1} {"a": 2}',
        b'{"a": 1} // b',
        b"{'a': 1}",
        b'{"a": "\n"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        b'{"a": "\xc0\xaf"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-be"),
        b'{"a": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        b"\x00",
        b"",
        b" \n",
        b"null",
        b"[]",
        b'"a"',
    ],
    ids=lambda body: ascii(body)[:24],
)
def test_what_readers_could_take_in_two_ways_is_no_json(body: bytes) -> None:
    with pytest.raises(InvalidJson) as raised:
        json_object(body)
    assert raised.value.code == "invalid_json"
    assert raised.value.message.startswith("The body ")
    assert len(raised.value.message) < 200


def test_what_is_judged_is_what_is_sent() -> None:
    """Of a name that is given twice the last one counts; the body is written anew, so that nobody sees the first."""
    raw = b'{"model": "m", "messages": [{"role": "user", "content": "evil", "content": "good"}], "n": 9, "n": 1}'
    request = chat_request(json_object(raw), len(raw))
    sent = orjson.dumps(request.body)
    assert request.body["messages"][0]["content"] == "good"
    assert sent == b'{"model":"m","messages":[{"role":"user","content":"good"}],"n":1}'


def test_numbers_beyond_64_bits_are_no_integers_any_more() -> None:
    raw = b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": 18446744073709551616}'
    with pytest.raises(InvalidValue, match="'seed' must be an integer, not a number"):
        chat_request(json_object(raw), len(raw))
