"""The opening handshake, read from a request of HTTP."""

import pytest

from llm_service.api.websocket.handshake import acceptance, asks_for_websocket, subprotocols_of
from llm_service.domain import InvalidRequest

UPGRADE = (b"upgrade", b"WebSocket")
GOOD = ((b"sec-websocket-version", b"13"), (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="))


def test_the_example_of_the_standard() -> None:
    assert acceptance("1.1", GOOD) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.0", GOOD),
        ("1.1", GOOD[:1]),
        ("1.1", GOOD[1:]),
        ("1.1", (*GOOD, GOOD[0])),
        ("1.1", (GOOD[0], (b"sec-websocket-key", b"not base64!"))),
        ("1.1", (GOOD[0], (b"sec-websocket-key", b"c2hvcnQ="))),
    ],
)
def test_what_is_no_handshake_is_refused(version: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(InvalidRequest):
        acceptance(version, headers)


@pytest.mark.parametrize(
    ("method", "headers", "asks"),
    [
        (b"GET", (UPGRADE,), True),
        (b"GET", (UPGRADE, (b"content-length", b"0")), True),
        (b"POST", (UPGRADE,), False),
        (b"GET", ((b"upgrade", b"h2c"),), False),
        (b"GET", (UPGRADE, (b"upgrade", b"h2c")), False),
        (b"GET", (UPGRADE, (b"content-length", b"5")), False),
        (b"GET", (UPGRADE, (b"transfer-encoding", b"chunked")), False),
        (b"GET", (), False),
    ],
)
def test_only_a_get_without_a_body_becomes_a_socket(
    method: bytes, headers: tuple[tuple[bytes, bytes], ...], asks: bool
) -> None:
    assert asks_for_websocket(method, headers) is asks


def test_subprotocols_may_come_in_one_header_or_in_several() -> None:
    headers = ((b"sec-websocket-protocol", b"a, b"), (b"sec-websocket-protocol", b"c"))
    assert subprotocols_of(headers) == ["a", "b", "c"]
