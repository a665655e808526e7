"""The rest of a stream on its way to a client that had left it, or that reads it beside another."""

import asyncio
from contextlib import suppress
from typing import cast

from starlette.responses import Response

from llm_service.api.client import Client, header_block
from llm_service.api.http_request import HungUp, Receive, Scope, Send
from llm_service.api.leaving import Leaving
from llm_service.api.rest.asgi_client import AsgiClient
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.api.rest.open_streams import OpenStreams
from llm_service.api.rest.responses import error_response
from llm_service.api.rest.sse_sink import SseSink
from llm_service.api.rest.wire import answerer_block
from llm_service.api.resuming import Resumed, Resuming
from llm_service.domain import Head, LLMServiceError, fact
from llm_service.runtime import Clock, Tasks


@fact
class Line:
    """What it takes to keep a client's line.

    ``watch``: over those that wait for the beginning of an answer. ``open``: what is read.
    """

    watch: HangUpWatch
    open: OpenStreams
    keep_alive_s: float
    clock: Clock
    tasks: Tasks


class Continued(Response):
    """The events of a stream that was resumed, as soon as there are some; its generation is left in the end."""

    def __init__(self, resumed: Resumed, resuming: Resuming, line: Line, *, head: bytes) -> None:
        """``head``: the header block, without those that say which stream it is, and who answers."""
        super().__init__()
        self._resumed = resumed
        self._resuming = resuming
        self._line = line
        self._own = head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.send(AsgiClient(scope, receive, send, watch=self._line.watch))
        except LLMServiceError as error:
            failed = error_response(error, request_id=scope["state"]["request_id"])
            await failed(scope, receive, send)

    async def send(self, client: Client) -> None:
        """Write to the client until the stream ends or the client leaves.

        Raises what ended the stream before it began, unless the response has begun by then.
        """
        stream, sink = self._resumed.stream, self._sink(client)
        stream.sinks.append(sink)
        self._line.open.add(stream)
        try:
            with suppress(HungUp):
                await self._follow(sink, client)
        except LLMServiceError as error:
            if not sink.opened:
                raise
            sink.fail(error, seq=self._resumed.after)
        finally:
            self._line.open.remove(stream)
            stream.sinks.remove(sink)
            if not sink.ended:
                sink.leave()
        await sink.written()

    async def _follow(self, sink: SseSink, client: Client) -> None:
        await self._begun(client)
        reply = self._resumed.generation.reply()
        try:
            if not sink.ended:  # a shutdown may have cut it in the moment in which its answer began
                sink.subscribe(reply)
            if not sink.ended:
                await client.gone()
        finally:
            await reply.aclose()

    async def _begun(self, client: Client) -> None:
        """Wait for the beginning, and listen to the client. Raises HungUp, and what ended it before."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        leaving = Leaving(task, lambda _: False)
        client.on_left(leaving.leave)
        try:
            await self._resuming.begun(self._resumed, leaving)
        finally:
            client.on_left(None)

    def _sink(self, client: Client) -> SseSink:
        line = self._line
        return SseSink(
            stream=self._resumed.stream,
            client=client,
            start_head=self._start,
            keep_alive_s=line.keep_alive_s,
            clock=line.clock,
            tasks=line.tasks,
            after=self._resumed.after,
        )

    def _start(self, head: Head | None) -> bytes:
        stream = self._resumed.stream
        own = header_block([(b"x-llm-stream-id", stream.id.encode()), (b"x-llm-cache", stream.cache.encode())])
        return b"".join((self._own, own, b"" if head is None else answerer_block(head.provider, head.upstream_model)))
