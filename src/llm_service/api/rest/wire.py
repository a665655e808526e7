"""How REST takes a request apart: the body read within its bound, JSON, the query."""

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final
from urllib.parse import quote

import orjson
from starlette.requests import Request

from llm_service.api.http_request import Headers, Receive, Scope, headers_of
from llm_service.api.pieces import check_announced, let_pieces_pass, piece_of, read_pieces
from llm_service.domain import Body, Caller, InvalidJson, InvalidValue, ModelRequest

MAX_CONTROL_BYTES: Final = 64 * 1024
MAX_DIGITS: Final = 9
NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)


async def read_body(receive: Receive, headers: Headers, max_bytes: int) -> bytes:
    """The whole body. Raises RequestTooLarge, as soon as the announced or the received length is, and HungUp.

    Raises InvalidValue for a body that is compressed, or encoded in another way.
    """
    check_announced(headers, max_bytes)
    return await read_pieces(partial(piece_of, receive), max_bytes)


async def let_pass(scope: Scope, receive: Receive) -> None:
    """Take what a client sends of a body that is not wanted, as ``let_pieces_pass`` does."""
    await let_pieces_pass(partial(piece_of, receive), dict(scope["headers"]))


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


async def request_in(body: bytes, parse: Callable[[Body, int], ModelRequest]) -> ModelRequest:
    """The request that a large body makes, taken apart in a thread: the event loop goes on meanwhile.

    Raises InvalidJson, MissingParameter and InvalidValue.
    """
    return await asyncio.to_thread(lambda: parse(json_object(body), len(body)))


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
    given = json_object(body)
    request.state.fields = tuple(given)
    return given


def count_of(request: Request, name: str, *, default: int, at_most: int) -> int:
    """A whole number from 1 on in the query. Raises InvalidValue."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and 1 <= int(text) <= at_most):
        raise InvalidValue(f"'{name}' must be a whole number from 1 to {at_most}.", param=name)
    return int(text)


def number_of(
    request: Request, name: str, *, default: float, at_least: float, at_most: float, beyond: str = ""
) -> float:
    """A number in the query, within bounds. Raises InvalidValue; ``beyond`` says what to do about a larger one."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (NUMBER.fullmatch(text) and at_least <= float(text) <= at_most):
        larger = NUMBER.fullmatch(text) and float(text) > at_most
        said = f"'{name}' must be a number from {at_least:g} to {at_most:g}."
        raise InvalidValue(f"{said} {beyond}" if beyond and larger else said, param=name)
    return float(text)


def header_value(text: str) -> bytes:
    """Text as a header value: what is not printable ASCII is percent-encoded, so that no value makes a new line."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return quote(text, safe=" /:@+,;=!$&'()*~").encode()


@lru_cache(maxsize=256)
def answerer_block(provider: str, upstream_model: str) -> bytes:
    """The header lines that say who answers; the name of a model may be anything."""
    return b"x-llm-provider: %b\r\nx-llm-model: %b\r\n" % (header_value(provider), header_value(upstream_model))
