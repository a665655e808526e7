"""One client connection: HTTP/1.1 in by httptools, and out by hand, so that every kind of broken answer can be sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol

import httptools

from llm_service.sandbox.messages import (
    JSON_TYPE,
    Data,
    Ending,
    Head,
    Partial,
    Raw,
    Reply,
    Request,
    Stop,
    Transfer,
    Wait,
    complete,
)

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_HEAD_BYTES = 256 * 1024
MAX_PIPELINED = 64
WRITES_PER_TURN = 64
"""Writes without a pause after which the event loop gets a turn for other connections."""

_LINGER_OFF = struct.pack("ii", 1, 0)
_BAD_REQUEST = complete(400, b'{"error":{"message":"This is not HTTP/1.1","code":400}}').whole
_TOO_LARGE = complete(413, b'{"error":{"message":"Request Entity Too Large","code":413}}').whole


class Owner(Protocol):
    """What a connection needs from the server that it belongs to."""

    def answer(self, request: Request) -> Reply: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Answers the requests of one socket in their order; a client that leaves cancels what runs."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._ended: Callable[[Ending], None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reset_message()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        if self._running is not None:
            self._running.cancel()
        self._report(Ending.CANCELLED)
        self._owner.closed(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(_BAD_REQUEST)
        except httptools.HttpParserError:
            self._refuse(_BAD_REQUEST)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- httptools

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(_TOO_LARGE)

    def on_message_complete(self) -> None:
        request = Request.build(
            method=self._parser.get_method().decode("latin-1"),
            target=self._url.decode("latin-1"),
            headers=self._headers,
            body=self._body[0] if len(self._body) == 1 else b"".join(self._body),
        )
        keep_alive = self._parser.should_keep_alive()
        self._reset_message()
        self._waiting.append((request, keep_alive))
        if len(self._waiting) > MAX_PIPELINED:
            self._refuse(_TOO_LARGE)
        if self._running is None:
            self._answer_waiting()

    # -- the way out

    def close(self) -> None:
        """End the connection at once; what runs on it counts as cancelled."""
        if self._transport is not None:
            self._transport.abort()

    def _reset_message(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def _count_head(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)

    def _refuse(self, answer: bytes | None) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if self._running is None:
                self._transport.write(answer or b"")
            self._transport.close()

    def _answer_waiting(self) -> None:
        while self._waiting and self._transport is not None and not self._transport.is_closing():
            request, keep_alive = self._waiting.popleft()
            reply = self._owner.answer(request)
            if reply.whole is None:
                self._ended = reply.ended
                self._running = asyncio.get_running_loop().create_task(self._play_and_go_on(reply, keep_alive))
                return
            self._transport.write(reply.whole)
            if reply.ended is not None:
                reply.ended(Ending.COMPLETED)
            if not keep_alive:
                self._transport.close()

    async def _play_and_go_on(self, reply: Reply, keep_alive: bool) -> None:
        stop = await self._play(reply)
        self._running = None
        self._report(Ending.COMPLETED if stop is None else Ending.BROKEN)
        if self._transport is None:
            return
        if stop is Stop.RESET:
            await self._flushed()
            self._reset()
        elif stop is not None or not keep_alive:
            self._transport.close()
        else:
            self._answer_waiting()

    async def _play(self, reply: Reply) -> Stop | None:
        """Play the steps; returns the stop that a proper end of the connection cannot express."""
        transfer = Transfer.LENGTH
        writes = 0
        for step in reply.steps:
            if isinstance(step, Data):
                self._write(_chunk(step.data) if transfer is Transfer.CHUNKED else step.data)
            elif isinstance(step, Wait):
                await _silence(step.seconds)
                continue
            elif isinstance(step, Head):
                transfer = step.transfer
                self._write(step.encode())
            elif isinstance(step, Raw):
                self._write(step.data)
            elif isinstance(step, Partial):
                self._write(b"%x\r\n%b" % (len(step.data) + 1, step.data))
            else:
                if step is Stop.SILENT and transfer is Transfer.CHUNKED:
                    self._write(b"0\r\n\r\n")
                return step
            writes += 1
            if not self._writable.is_set():
                await self._writable.wait()
            elif writes % WRITES_PER_TURN == 0:
                await asyncio.sleep(0)
        if transfer is Transfer.CHUNKED:
            self._write(b"0\r\n\r\n")
        return Stop.CLOSE if transfer is Transfer.CLOSE else None

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def _flushed(self) -> None:
        while self._transport is not None and self._transport.get_write_buffer_size():
            await asyncio.sleep(0.001)

    def _reset(self) -> None:
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
            self._transport.abort()

    def _report(self, ending: Ending) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(ending)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


async def _silence(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(seconds)
