"""A mock upstream that speaks the chat completions of OpenAI. ``upstream.c`` is the same, some times as fast.

    python -m bench.traffic.upstream PORT

``GET /counts`` says what came so far: requests, streams, how many of them were left before their end.
"""

import asyncio
import json
import sys
import time
from typing import Final, cast

from bench.traffic.http import Message
from bench.traffic.messages import Wanted, closing_events, content_event, wanted, whole_answer

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


class Counts:
    """What came so far."""

    def __init__(self) -> None:
        self.requests = self.streams = self.finished = self.left = self.connections = 0

    def as_json(self) -> bytes:
        return json.dumps(vars(self)).encode()


class Upstream(asyncio.Protocol):
    """One connection. Requests that come before the last one is answered are answered after it."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._message = Message()
        self._waiting = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._streams = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._counts.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._streams:
            self._counts.left += 1

    def data_received(self, data: bytes) -> None:
        if self._streams:
            self._waiting += data
            return
        while data:
            data = self._message.feed(data)
            if self._message.complete:
                message, self._message = self._message, Message()
                self._answer(message)
                if self._streams:
                    self._waiting = data
                    return

    def _answer(self, message: Message) -> None:
        if not message.path.endswith(b"/chat/completions"):
            self._write_whole(self._counts.as_json() if message.path == b"/counts" else b'{"object":"list","data":[]}')
            return
        asked = wanted(bytes(message.body))
        self._counts.requests += 1
        if not asked.streams:
            self._counts.finished += 1
            self._write_whole(whole_answer(asked.id))
            return
        self._counts.streams += 1
        self._streams = True
        self._write(STREAM_HEAD)
        self._go_on(asked, 0)

    def _go_on(self, asked: Wanted, place: int) -> None:
        while place < asked.chunks:
            self._write_piece(content_event(asked.id, place, time.monotonic_ns()))
            place += 1
            if asked.gap_ms and place < asked.chunks:
                self._timer = asyncio.get_running_loop().call_later(asked.gap_ms / 1e3, self._go_on, asked, place)
                return
        self._write_piece(closing_events(asked))
        self._write(b"0\r\n\r\n")
        self._streams = False
        self._counts.finished += 1
        waiting, self._waiting = self._waiting, b""
        if waiting:
            self.data_received(waiting)

    def _write_whole(self, body: bytes) -> None:
        self._write(HEAD % len(body) + body)

    def _write_piece(self, piece: bytes) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(port: int) -> asyncio.Server:
    """An upstream at this port of the loopback interface; 0 for any that is free."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Upstream(counts), "127.0.0.1", port, backlog=4096)


async def main() -> None:
    server = await serve(int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    from bench.traffic.loops import run

    run(main())
