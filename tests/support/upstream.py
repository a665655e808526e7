"""What the suites of the HTTP clients share: a receiver that notes, requests, and upstreams that say given bytes."""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from llm_service.transport import HttpHead, HttpRequest, Transport, TransportError
from tests.support.raw_server import Handle, read_request, serving
from tests.support.waiting import loop_turns

OK = b"HTTP/1.1 200 OK\r\n"
ANSWER = OK + b"Content-Length: 2\r\n\r\nok"
HEADERS = {"user-agent": "test", "accept": "*/*", "accept-encoding": "identity", "content-type": "application/json"}

MakeTransport = Callable[..., Transport]


class Noted:
    """A receiver that writes down what it is told."""

    def __init__(self) -> None:
        self.head: HttpHead | None = None
        self.pieces: list[bytes] = []
        self.failure: TransportError | None = None
        self.calls_after_end = 0
        self.over = asyncio.Event()
        self.first = asyncio.Event()

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def outcome(self) -> tuple[int | None, bytes, str]:
        """Status, body, and ``end`` or the kind of the failure."""
        ending = "end" if self.failure is None else self.failure.kind
        return self.head.status if self.head else None, self.data, ending

    def on_head(self, head: HttpHead) -> None:
        self.calls_after_end += self.over.is_set()
        self.head = head

    def on_body(self, data: bytes) -> None:
        self.calls_after_end += self.over.is_set()
        self.pieces.append(data)
        self.first.set()

    def on_end(self) -> None:
        self.calls_after_end += self.over.is_set()
        self.over.set()

    def on_error(self, error: TransportError) -> None:
        self.calls_after_end += self.over.is_set()
        self.failure = error
        self.over.set()


def failed(work: str, failure: BaseException) -> None:
    pytest.fail(f"{work}: {failure!r}")


def a_request(address: str, **other: Any) -> HttpRequest:
    fields: dict[str, Any] = {"method": "POST", "headers": HEADERS, "body": b"{}", **other}
    return HttpRequest(url=f"{address}/chat", **fields)


async def asked(transport: Transport, address: str, **other: Any) -> Noted:
    """What became of one request."""
    noted = Noted()
    transport.send(a_request(address, **other), noted)
    await noted.over.wait()
    return noted


async def told(transport: Transport, handle: Handle) -> Noted:
    """What became of one request to an upstream that lives no longer."""
    async with serving(handle) as address:
        return await asked(transport, address)


async def settle() -> None:
    """Let what is under way between the sockets of one event loop arrive."""
    await loop_turns(20)


async def say(writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
    """Write the pieces so that each is a read of its own: client and server share the event loop."""
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        if len(pieces) > 1:
            await loop_turns(3)


def saying(*pieces: bytes) -> Handle:
    """An upstream that answers one request with these bytes, and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await say(writer, pieces)

    return handle


def once_then(rest: Handle) -> Handle:
    """Answers the first request of a connection, and leaves what follows to ``rest``."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ANSWER)
        await rest(reader, writer)

    return handle


def always_saying(answer: Callable[[int], Sequence[bytes]]) -> Handle:
    """An upstream that keeps its connections; ``answer`` is asked for the pieces by the number of the request."""
    requests = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await read_request(reader)
            requests += 1
            await say(writer, answer(requests - 1))

    return handle


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
