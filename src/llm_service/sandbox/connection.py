"""One client connection: HTTP/1.1 in by httptools, and out by hand, so that every kind of broken answer can be sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Final, Protocol

import httptools

from llm_service.runtime import Clock
from llm_service.sandbox.messages import Ending, Reply, Request, Stop, Transfer, Wait, complete
from llm_service.sandbox.wire import Wire

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
MAX_HEAD_BYTES: Final = 256 * 1024
MAX_PIPELINED: Final = 64
WRITES_PER_TURN: Final = 64  # without a pause; then the event loop gets a turn for other connections

_LINGER_OFF: Final = struct.pack("ii", 1, 0)
_BAD_REQUEST: Final = complete(400, b'{"error":{"message":"This is not HTTP/1.1","code":400}}').whole
_FAILED: Final = complete(500, b'{"error":{"message":"The sandbox failed on this request","code":500}}').whole
_TOO_LARGE: Final = complete(413, b'{"error":{"message":"Request Entity Too Large","code":413}}').whole


class Owner(Protocol):
    """What a connection needs from the server that it belongs to."""

    clock: Clock

    def answer(self, request: Request) -> Reply:
        """The reply to one request."""

    def opened(self, connection: Connection) -> None:
        """A client has connected."""

    def closed(self, connection: Connection) -> None:
        """The connection has ended."""


class Connection(asyncio.Protocol):
    """Answers the requests of one socket in their order; a client that leaves cancels what runs."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()  # with: may the connection be kept
        self._running: asyncio.Task[None] | None = None
        self._reply: Reply | None = None  # the one that runs
        self._writable = asyncio.Event()
        self._writable.set()
        self._begin_message()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream protocol is given a stream transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._waiting.clear()
        if self._running is not None:
            self._running.cancel()
        if self._reply is not None:
            _report(self._reply, Ending.CANCELLED)
        self._parser = None  # type: ignore[assignment]  # it knows us
        self._owner.closed(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as failure:
            context = {"message": "a sandbox request failed", "exception": failure.__context__ or failure}
            asyncio.get_running_loop().call_exception_handler(context)
            self._refuse(_FAILED)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError):
            self._refuse(_BAD_REQUEST)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What the parser calls.

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
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._begin_message()
        if len(self._waiting) > MAX_PIPELINED:
            self._refuse(_TOO_LARGE)
        if self._running is None:
            self._answer_waiting()

    def close(self) -> None:
        """End the connection at once; what runs on it counts as cancelled."""
        if self._transport is not None:
            self._transport.abort()

    def _begin_message(self) -> None:
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
            if self._running is None and answer is not None:
                self._transport.write(answer)
            self._transport.close()

    # The way out.

    def _answer_waiting(self) -> None:
        while self._waiting and not self._is_closing():
            request, kept = self._waiting.popleft()
            reply = self._owner.answer(request)
            if reply.whole is None:
                self._run(reply, kept=kept)
                return
            self._write(reply.whole)
            _report(reply, Ending.COMPLETED)
            if not kept and self._transport is not None:
                self._transport.close()

    def _run(self, reply: Reply, *, kept: bool) -> None:
        self._reply = reply
        self._running = asyncio.get_running_loop().create_task(self._play(reply, kept=kept))
        self._running.add_done_callback(self._played)

    async def _play(self, reply: Reply, *, kept: bool) -> None:
        stop = await self._write_all(reply)
        _report(reply, Ending.COMPLETED if stop in (None, Stop.HANG_UP) else Ending.BROKEN)
        if stop is Stop.RESET:
            await self._reset()
        elif self._transport is not None and (stop in (Stop.HANG_UP, Stop.CLOSE) or not kept):
            self._transport.close()

    def _played(self, task: asyncio.Task[None]) -> None:
        reply, self._running, self._reply = self._reply, None, None
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a sandbox reply failed", "exception": error, "task": task}
            asyncio.get_running_loop().call_exception_handler(context)
            if reply is not None:
                _report(reply, Ending.BROKEN)
            self.close()
            return
        self._answer_waiting()

    async def _write_all(self, reply: Reply) -> Stop | None:
        """Play the steps; returns what has to happen to the connection afterwards."""
        wire = Wire()
        writes = 0
        for step in reply.steps:
            if isinstance(step, Wait):
                await self._silence(step.seconds)
            elif isinstance(step, Stop):
                if step in (Stop.END, Stop.HANG_UP):
                    self._write(wire.end())
                return step
            else:
                self._write(wire.encode(step))
                writes += 1
                await self._breathe(writes)
        self._write(wire.end())
        return Stop.HANG_UP if wire.transfer is Transfer.CLOSE else None

    async def _breathe(self, writes: int) -> None:
        """Wait for a slow reader, and let others have their turn."""
        if self._is_closing():
            await self._silence(None)  # the end of the connection cancels us
        elif not self._writable.is_set():
            await self._writable.wait()
        elif writes % WRITES_PER_TURN == 0:
            await asyncio.sleep(0)

    def _is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def _silence(self, seconds: float | None) -> None:
        if seconds is None:
            await asyncio.get_running_loop().create_future()
        elif seconds > 0:
            await self._owner.clock.sleep(seconds)
        else:
            await asyncio.sleep(0)

    async def _reset(self) -> None:
        """RST once everything before it is on its way: with lingering off, what waits would be thrown away."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=0)
            await self._writable.wait()
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
            self._transport.abort()


def _report(reply: Reply, ending: Ending) -> None:
    if reply.ended is not None:
        reply.ended(ending)
