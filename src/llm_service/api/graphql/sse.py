"""The results of one operation as server-sent events, in the distinct connections mode of GraphQL over SSE.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson

from llm_service.api.graphql.failures import Told
from llm_service.api.graphql.operation import Operation
from llm_service.api.http_request import Receive, Send

KEEP_ALIVE: Final = b":\n\n"
COMPLETE: Final = b"event: complete\ndata:\n\n"
EVENT_HEADERS: Final = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))


class EventOutlet:
    """Writes to a client that reads events."""

    def __init__(self, send: Send, *, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = [*EVENT_HEADERS, *headers]
        self._one_at_a_time = asyncio.Lock()
        self._begun = False
        self._wrote = False

    async def next(self, result: dict[str, Any]) -> None:
        """One result."""
        await self._write(b"event: next\ndata: %b\n\n" % orjson.dumps(result))

    async def failed(self, errors: Sequence[Told]) -> None:
        """The protocol knows no other way to tell an error: a result without data, and the end."""
        await self.next({"errors": errors})
        await self.complete()

    async def complete(self) -> None:
        """Nothing follows."""
        await self._write(COMPLETE)

    async def follow(
        self, operation: Operation, running: "asyncio.Task[None]", receive: Receive, *, keep_alive_s: float
    ) -> None:
        """Until the operation has ended; a comment after each ``keep_alive_s`` of silence; a client may leave."""
        await self._write(b"")
        listening = asyncio.ensure_future(_until_gone(receive))
        try:
            while not running.done():
                self._wrote = False
                await asyncio.wait({running, listening}, timeout=keep_alive_s, return_when=asyncio.FIRST_COMPLETED)
                if listening.done():
                    operation.leave()
                    await asyncio.wait({running})
                elif not self._wrote and not running.done():
                    await self._write(KEEP_ALIVE)
        finally:
            listening.cancel()
            if not running.done():
                operation.leave()
        if not listening.done() or listening.cancelled():
            await self._finish()

    async def _write(self, data: bytes) -> None:
        async with self._one_at_a_time:
            if not self._begun:
                self._begun = True
                await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
            self._wrote = True
            if data:
                await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _finish(self) -> None:
        async with self._one_at_a_time:
            await self._send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
