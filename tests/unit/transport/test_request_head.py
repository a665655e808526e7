"""Heads of requests: nothing breaks out of its line, and no request gets another's headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.transport import HttpRequest
from llm_service.transport.request_head import MAX_SETS_OF_HEADERS, RequestHeads

texts = st.text(max_size=8)


def a_request(url: str = "http://example.com/v1", **other: object) -> HttpRequest:
    fields: dict[str, object] = {"method": "POST", "headers": {"a": "b"}, "body": b"{}", **other}
    return HttpRequest(url=url, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://example.com", "/", "example.com"),
        ("http://Example.com:80/v1/chat", "/v1/chat", "example.com"),
        ("https://example.com:443/v1?a=b&c=%20d", "/v1?a=b&c=%20d", "example.com"),
        ("https://example.com:8443/v1", "/v1", "example.com:8443"),
        ("http://[::1]:8080/v1", "/v1", "[::1]:8080"),
        ('http://example.com/mödel/"x"#part', "/m%C3%B6del/%22x%22", "example.com"),
    ],
)
def test_the_address_becomes_target_and_host(url: str, target: str, host: str) -> None:
    _, head = RequestHeads().encode(a_request(url))
    assert head == f"POST {target} HTTP/1.1\r\nhost: {host}\r\na: b\r\ncontent-length: 2\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("method", "body", "end"),
    [
        ("GET", None, b"a: b\r\n\r\n"),
        ("POST", None, b"content-length: 0\r\n\r\n"),
        ("POST", b"", b"-length: 0\r\n\r\n"),
    ],
)
def test_the_body_is_announced(method: str, body: bytes | None, end: bytes) -> None:
    assert RequestHeads().encode(a_request(method=method, body=body))[1].endswith(end)


@pytest.mark.parametrize(
    "url",
    [
        "example.com/v1", "ftp://example.com", "http://", "http://user:secret@example.com/", "http://ex\u00e4mple.com/",
        "http://example.com/a b", "http://example.com/a\r\nHost: evil", "http://exa\tmple.com/", "http://example.com:x/",
        "http://example.com\\@evil/", "http://example.com/\0",
    ],
)  # fmt: skip
def test_an_address_that_could_mislead_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address") as refused:
        RequestHeads().encode(a_request(url))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"a": "b\r\nevil: 1"}, {"a": "b\nc"}, {"a": "b\rc"}, {"a": "b\0"}, {"a": "\x7f"}, {"a\r\n": "b"}, {"a b": "c"},
        {"a:": "b"}, {"": "b"}, {"\u00e4": "b"}, {"Content-Length": "5"}, {"transfer-encoding": "chunked"},
        {"HOST": "evil"}, {"connection": "close"}, {"expect": "100-continue"},
    ],
)  # fmt: skip
def test_a_header_that_could_break_out_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        RequestHeads().encode(a_request(headers=headers))


@given(url=texts, name=texts, value=texts)
def test_no_text_breaks_out_of_its_line(url: str, name: str, value: str) -> None:
    try:
        _, head = RequestHeads().encode(a_request(f"http://example.com/{url}", headers={name: value}))
    except ValueError:
        return
    lines = head.decode().split("\r\n")
    assert (len(lines), lines[0].count(" "), lines[2]) == (6, 2, f"{name}: {value}")
    assert not {"\n", "\r", "\0"} & set("".join(lines))


def test_equal_headers_are_encoded_once_and_others_anew() -> None:
    heads = RequestHeads()
    mine = {"authorization": "one"}
    first = heads.encode(a_request(headers=mine))[1]
    assert heads.encode(a_request(headers={"authorization": "one"}))[1] == first
    mine["authorization"] = "two"
    assert b"one" not in heads.encode(a_request(headers=mine))[1]
    assert b"two" not in heads.encode(a_request(headers={}))[1]


def test_sets_of_headers_that_take_turns_are_encoded_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = RequestHeads()
    for turn in range(3):
        for number in range(MAX_SETS_OF_HEADERS):
            head = heads.encode(a_request(headers={"authorization": str(number)}))[1]
            assert f"\r\nauthorization: {number}\r\n".encode() in head
        if not turn:
            monkeypatch.setattr(heads, "_learn", None)


def test_headers_of_one_request_alone_are_checked_and_not_kept() -> None:
    heads = RequestHeads()
    head = heads.encode(a_request(more_headers={"traceparent": "one"}))[1]
    assert head.endswith(b"\r\na: b\r\ntraceparent: one\r\ncontent-length: 2\r\n\r\n")
    assert b"traceparent" not in heads.encode(a_request())[1]
    with pytest.raises(ValueError, match="header"):
        heads.encode(a_request(more_headers={"traceparent": "a\r\nevil: 1"}))


def test_one_place_is_one_origin() -> None:
    heads = RequestHeads()
    one = heads.encode(a_request("http://example.com/a"))[0]
    assert heads.encode(a_request("http://EXAMPLE.com:80/b", headers={}))[0] is one
    assert heads.encode(a_request("https://example.com/a"))[0] is not one
