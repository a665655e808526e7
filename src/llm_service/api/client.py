"""Who asks on a hot route: all that its door knows of a client, whatever carries the request and its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from llm_service.api.http_request import Headers

Waiting = Awaitable[None] | None
"""Something to await before more is written, where the client does not read what it is sent; else nothing."""
Serve = Callable[["Client", "asyncio.Task[None]"], Coroutine[Any, Any, None]]
"""Answers one request, in the task that it is given."""


class Lane(NamedTuple):
    """What answers requests without ASGI's objects, by the address as it stands in the request.

    ``is_open``: it is for new requests. One that was let in before, and waits for its turn, is answered in any case.
    """

    routes: Mapping[bytes, Serve]
    is_open: bool = True


NO_LANE: Final = Lane(MappingProxyType({}), is_open=False)


class Client(Protocol):
    """The client of one request. To one that has left nothing is written.

    A header block is lines of a name in lower case, a colon, a blank, a value, and CRLF. Who makes one sees to it that
    no value has an end of a line in it; the server adds its own lines before it and those of the framing behind it.
    """

    peer: str | None
    """The address of the other end."""

    def headers(self) -> Headers:
        """Those of the request, by their names in lower case.

        Raises InvalidRequest where one that decides something comes twice, and without a Host in HTTP/1.1.
        """

    def whole_body(self) -> bytes | None:
        """The body where all of it has come; ``None``: it is to be taken by pieces. To be called once, before those."""

    async def piece(self) -> tuple[bytes, bool]:
        """What has come of the body since, and whether more is to come. Raises HungUp when the client leaves."""

    def on_left(self, callback: Callable[[], None] | None) -> None:
        """Call back, once and from the event loop, when the client leaves; ``None``: no more."""

    async def gone(self) -> None:
        """Wait until the client leaves, or the answer has been written."""

    def respond(self, status: int, head: bytes, body: bytes) -> Waiting:
        """The whole response, in one piece; the header block tells its length."""

    def respond_early(self, status: int, head: bytes, body: bytes) -> Waiting:
        """The same to a client that may still be sending: ``end`` closes the connection, which the head says."""

    def begin(self, head: bytes) -> Waiting:
        """The beginning of a response with status 200 whose length nobody knows."""

    def write(self, data: bytes) -> Waiting:
        """A piece of it."""

    def end(self, data: bytes) -> Waiting:
        """The last piece, which may be empty."""


def header_block(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Names and values as lines."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def headers_in(block: bytes) -> list[tuple[bytes, bytes]]:
    """The names and values of a block."""
    pairs = []
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        pairs.append((name, value))
    return pairs
