"""The opening handshake of a WebSocket (RFC 6455, 4.2), read from a request whose head is already taken apart."""

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

import httptools

from llm_service.domain import InvalidRequest

VERSION: Final = b"13"
KEY_BYTES: Final = 16
Headers = Sequence[tuple[bytes, bytes]]


def asks_for_websocket(method: bytes, headers: Headers) -> bool:
    """Whether a request is a handshake: a GET without a body that offers this upgrade and no other."""
    named = [value.strip().lower() for name, value in headers if name == b"upgrade"]
    has_body = any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0") for name, value in headers
    )
    return method == b"GET" and named == [b"websocket"] and not has_body


def acceptance(http_version: str, headers: Headers) -> bytes:
    """The ``Sec-WebSocket-Accept`` that answers the handshake. Raises InvalidRequest."""
    if http_version != "1.1":
        raise InvalidRequest("A WebSocket begins with a request of HTTP/1.1.")
    if _only(headers, b"sec-websocket-version") != VERSION:
        raise InvalidRequest("A WebSocket begins with 'Sec-WebSocket-Version: 13', once.")
    key = _only(headers, b"sec-websocket-key")
    try:
        raw = b64decode(key, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise InvalidRequest("A WebSocket begins with one Sec-WebSocket-Key: 16 bytes in base64.")
    from websockets.utils import accept_key

    return accept_key(key.decode()).encode()


def subprotocols_of(headers: Headers) -> list[str]:
    """The subprotocols that the client speaks, the preferred ones first."""
    offered = b",".join(value for name, value in headers if name == b"sec-websocket-protocol")
    return [one.strip() for one in offered.decode("latin-1").split(",") if one.strip()]


def websocket_scope(request: dict[str, Any], url: bytes, headers: Headers) -> dict[str, Any]:
    """The ASGI scope of the WebSocket that this HTTP request asks for. Raises HttpParserError for an invalid URL."""
    parsed = httptools.parse_url(url)
    path = parsed.path or b"/"
    return {
        **request,
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "wss" if request["scheme"] == "https" else "ws",
        "method": "GET",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": parsed.query or b"",
        "headers": [*headers],
        "subprotocols": subprotocols_of(headers),
    }


def _only(headers: Headers, wanted: bytes) -> bytes:
    """The header's value, empty where it does not come exactly once."""
    values = [value.strip() for name, value in headers if name == wanted]
    return values[0] if len(values) == 1 else b""
