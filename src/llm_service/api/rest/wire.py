"""What a REST request says beside its body: headers read once, the body read within its bound."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from math import isfinite
from typing import Any, Final, Literal
from urllib.parse import quote

import orjson
from starlette.requests import Request

from llm_service.domain import (
    NO_TAGS,
    Body,
    Caller,
    Credentials,
    InvalidJson,
    InvalidRequest,
    InvalidValue,
    RequestTooLarge,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[bytes, bytes]

MAX_TIMEOUT_S: Final = 86400.0
MAX_CONTROL_BYTES: Final = 64 * 1024
MAX_DIGITS: Final = 9
UNWANTED_S: Final = 5.0
UNWANTED_SILENCE_S: Final = 1.0
UNWANTED_BYTES: Final = 64 * 1024 * 1024
MAX_USER_CHARS: Final = 256
MAX_KEY_CHARS: Final = 255
MAX_TAGS: Final = 16
MAX_TAG_CHARS: Final = 128
_TAG: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FORWARDED: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
_ONCE: Final = (
    b"host",
    b"authorization",
    b"x-api-key",
    b"origin",
    b"content-type",
    b"x-llm-timeout-s",
    b"x-llm-user",
    b"x-llm-tags",
    b"idempotency-key",
    b"last-event-id",
)


class HungUp(Exception):
    """The client left before its request was complete; there is nobody to answer."""


def headers_of(scope: Scope) -> Headers:
    """The request's headers by name. Raises InvalidRequest where one that decides something comes twice.

    So too without a Host in HTTP/1.1 (RFC 9112 section 3.2).
    """
    pairs = scope["headers"]
    headers = dict(pairs)
    if len(headers) < len(pairs):
        names = [name for name, _ in pairs]
        for name in _ONCE:
            if names.count(name) > 1:
                raise InvalidRequest(f"The header {name.decode()} may come only once.")
    if b"host" not in headers and scope["http_version"] == "1.1":
        raise InvalidRequest("A request in HTTP/1.1 needs the header Host.")
    return headers


def credentials_of(scope: Scope, headers: Headers) -> Credentials:
    """What the request shows of its sender."""
    client = scope.get("client")
    origin = headers.get(b"origin")
    content_type = headers.get(b"content-type", b"")
    return Credentials(
        key=_key_of(headers),
        peer=client[0] if client else None,
        host=headers.get(b"host", b"").decode("latin-1"),
        origin=None if origin is None else origin.decode("latin-1"),
        forwarded=not _FORWARDED.isdisjoint(headers),
        json_body=scope["method"] != "POST" or content_type[:16].lower() == b"application/json",
    )


def _key_of(headers: Headers) -> str | None:
    """The presented key. An empty Bearer counts as none: clients send it when they were given no key."""
    scheme, _, key = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme and scheme.lower() != b"bearer":
        return headers[b"authorization"].decode("latin-1")  # some other scheme: a key that nobody has
    key = key.strip() or headers.get(b"x-api-key", b"").strip()
    return key.decode("latin-1") or None


def timeout_of(headers: Headers) -> float | None:
    """The caller's own deadline from ``X-LLM-Timeout-S``, in seconds. Raises InvalidValue."""
    value = headers.get(b"x-llm-timeout-s")
    if value is None:
        return None
    try:
        timeout_s = float(value)
    except ValueError:
        timeout_s = 0.0
    if not isfinite(timeout_s) or not 0 < timeout_s <= MAX_TIMEOUT_S:
        said = "The header X-LLM-Timeout-S must be a number of seconds above 0, at most 86400."
        raise InvalidValue(said, param="X-LLM-Timeout-S")
    return timeout_s


def on_disconnect_of(headers: Headers) -> Literal["cancel", "finish"] | None:
    """What ``X-LLM-On-Disconnect`` asks for. Raises InvalidValue for something that there is not."""
    value = headers.get(b"x-llm-on-disconnect")
    if value is None:
        return None
    if value == b"finish":
        return "finish"
    if value == b"cancel":
        return "cancel"
    said = "The header X-LLM-On-Disconnect must be 'cancel' or 'finish'."
    raise InvalidValue(said, param="X-LLM-On-Disconnect")


def idempotency_key_of(headers: Headers) -> str | None:
    """The request's ``Idempotency-Key``. Raises InvalidValue."""
    value = headers.get(b"idempotency-key")
    if value is None:
        return None
    key = _text_of(value, "Idempotency-Key")
    if not 0 < len(key) <= MAX_KEY_CHARS:
        said = f"The header Idempotency-Key must have 1 to {MAX_KEY_CHARS} characters."
        raise InvalidValue(said, param="Idempotency-Key")
    return key


def user_of(headers: Headers) -> str | None:
    """The end user that ``X-LLM-User`` names. Raises InvalidValue."""
    value = headers.get(b"x-llm-user")
    if value is None:
        return None
    user = _text_of(value, "X-LLM-User")
    if not 0 < len(user) <= MAX_USER_CHARS:
        raise InvalidValue(f"The header X-LLM-User must have 1 to {MAX_USER_CHARS} characters.", param="X-LLM-User")
    return user


def tags_of(headers: Headers) -> Mapping[str, str]:
    """The tags that ``X-LLM-Tags`` names, as ``team=search,env=prod``. Raises InvalidValue."""
    value = headers.get(b"x-llm-tags")
    if value is None:
        return NO_TAGS
    tags: dict[str, str] = {}
    for piece in _text_of(value, "X-LLM-Tags").split(","):
        name, _, said = piece.partition("=")
        if not _TAG.fullmatch(name.strip()) or len(said) > MAX_TAG_CHARS:
            raise InvalidValue(
                "The header X-LLM-Tags must be tags such as team=search,env=prod: names of at most 64 letters, "
                f"digits, '.', '_' and '-', values of at most {MAX_TAG_CHARS} characters.",
                param="X-LLM-Tags",
            )
        tags[name.strip()] = said.strip()
    if len(tags) > MAX_TAGS:
        raise InvalidValue(f"The header X-LLM-Tags may hold at most {MAX_TAGS} tags.", param="X-LLM-Tags")
    return tags


def _text_of(value: bytes, name: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise InvalidValue(f"The header {name} must be UTF-8.", param=name) from None
    if not text.isprintable():
        raise InvalidValue(f"The header {name} must be printable text.", param=name)
    return text.strip()


async def read_body(receive: Receive, headers: Headers, max_bytes: int) -> bytes:
    """The whole body. Raises RequestTooLarge, as soon as the announced or the received length is, and HungUp.

    Raises InvalidValue for a body that is compressed, or encoded in another way.
    """
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"identity", b""):
        said = "The body must be sent as it is, without a Content-Encoding."
        raise InvalidValue(said, param="Content-Encoding")
    announced = headers.get(b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    return await _read_pieces(message, receive, max_bytes)


async def _read_pieces(message: Message, receive: Receive, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise HungUp
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()


async def let_pass(scope: Scope, receive: Receive) -> None:
    """Take what a client sends of a body that is not wanted, while it comes, for a while and up to a bound.

    A connection that closes with bytes unread is reset, and what the client was told is lost with it.
    """
    left = UNWANTED_BYTES
    silence_s = 0.0 if _waits_to_be_asked(scope) else UNWANTED_SILENCE_S
    with suppress(TimeoutError):
        async with asyncio.timeout(UNWANTED_S):
            more = True
            while more and left > 0:
                async with asyncio.timeout(silence_s):
                    message = await receive()
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)


def _waits_to_be_asked(scope: Scope) -> bool:
    """Whether the client sends its body only after ``100 Continue``, and it was refused by its length, before that."""
    headers = dict(scope["headers"])
    return b"content-length" in headers and headers.get(b"expect", b"").lower() == b"100-continue"


def _too_large(max_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {max_bytes} bytes.")


def json_object(body: bytes) -> Body:
    """The body as one JSON object. Raises InvalidJson, with the place of the mistake and none of the content."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise InvalidJson("The body is empty; a JSON object is expected.") from None
        said = f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise InvalidJson(said) from None
    if type(value) is not dict:
        raise InvalidJson("The body must be a JSON object.")
    return value


def caller_of(request: Request) -> Caller:
    """Who asks; of a route that is not open."""
    caller: Caller = request.state.caller
    return caller


async def json_body(request: Request, *, optional: bool = False) -> Body:
    """The small JSON object that a request of the control plane carries; nothing counts as ``{}`` where it may.

    Raises RequestTooLarge, InvalidJson, InvalidValue for another content type, and HungUp.
    """
    headers = headers_of(request.scope)
    body = await read_body(request.receive, headers, MAX_CONTROL_BYTES)
    if optional and not body:
        return {}
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise InvalidValue("The body must be sent as 'Content-Type: application/json'.", param="Content-Type")
    return json_object(body)


def count_of(request: Request, name: str, *, default: int, at_most: int) -> int:
    """A whole number from 1 on in the query. Raises InvalidValue."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and 1 <= int(text) <= at_most):
        raise InvalidValue(f"'{name}' must be a whole number from 1 to {at_most}.", param=name)
    return int(text)


def header_value(text: str) -> bytes:
    """Text as a header value: what is not printable ASCII is percent-encoded, so that no value makes a new line."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return quote(text, safe=" /:@+,;=!$&'()*~").encode()
