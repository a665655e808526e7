"""Bodies that come in pieces: read within their bound, or let pass."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from llm_service.api.http_request import Headers, HungUp, Receive
from llm_service.domain import InvalidValue, RequestTooLarge

Pieces = Callable[[], Awaitable[tuple[bytes, bool]]]
"""Gives what has come of a body since, and whether more is to come. Raises HungUp when the client leaves."""
UNWANTED_S: Final = 5.0
UNWANTED_SILENCE_S: Final = 1.0
UNWANTED_BYTES: Final = 64 * 1024 * 1024


async def piece_of(receive: Receive) -> tuple[bytes, bool]:
    """What comes by ASGI."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HungUp
    return message.get("body", b""), message.get("more_body", False)


def check_announced(headers: Headers, max_bytes: int) -> None:
    """Raise RequestTooLarge where the announced length is, and InvalidValue for a body in another encoding."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"identity", b""):
        said = "The body must be sent as it is, without a Content-Encoding."
        raise InvalidValue(said, param="Content-Encoding")
    announced = headers.get(b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > max_bytes:
        raise too_large(max_bytes)


async def read_pieces(piece: Pieces, max_bytes: int) -> bytes:
    """The whole body. Raises RequestTooLarge as soon as what has come is, and HungUp."""
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        one, more = await piece()
        size += len(one)
        if size > max_bytes:
            raise too_large(max_bytes)
        pieces.append(one)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def let_pieces_pass(piece: Pieces, headers: Headers) -> None:
    """Take what a client sends of a body that is not wanted, while it comes, for a while and up to a bound.

    A connection that closes with bytes unread is reset, and what the client was told is lost with it.
    """
    left, more = UNWANTED_BYTES, True
    silence_s = 0.0 if _waits_to_be_asked(headers) else UNWANTED_SILENCE_S
    with suppress(TimeoutError, HungUp):
        async with asyncio.timeout(UNWANTED_S):
            while more and left > 0:
                async with asyncio.timeout(silence_s):
                    one, more = await piece()
                left -= len(one)


def _waits_to_be_asked(headers: Headers) -> bool:
    """Whether the client sends its body only after ``100 Continue``, and it was refused by its length, before that."""
    return b"content-length" in headers and headers.get(b"expect", b"").lower() == b"100-continue"


def too_large(max_bytes: int) -> RequestTooLarge:
    """What a body beyond the bound is answered with."""
    return RequestTooLarge(f"The body is larger than {max_bytes} bytes.")
