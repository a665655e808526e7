"""The rest of a stream on its way to a client that had left it, or that reads it beside another."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from starlette.responses import Response

from llm_service.api.http_request import HungUp, Receive, Scope, Send
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.api.rest.open_streams import OpenStreams
from llm_service.api.rest.responses import error_response
from llm_service.api.rest.sse_sink import SseSink
from llm_service.api.rest.wire import header_value
from llm_service.api.resuming import Resumed, Resuming
from llm_service.domain import Head, LLMServiceError
from llm_service.runtime import Clock, Tasks

HeaderList = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def __init__(
        self, resumed: Resumed, resuming: Resuming, line: Line, *, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """``headers``: beside those that say which stream it is, and who answers."""
        super().__init__()
        self._resumed = resumed
        self._resuming = resuming
        self._line = line
        self._own = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.send(receive, send)
        except LLMServiceError as error:
            failed = error_response(error, request_id=scope["state"]["request_id"])
            await failed(scope, receive, send)

    async def send(self, receive: Receive, send: Send) -> None:
        """Write to the client until the stream ends or the client leaves.

        Raises what ended the stream before it began, unless the response has begun by then.
        """
        stream, sink = self._resumed.stream, self._sink(send)
        stream.sinks.append(sink)
        self._line.open.add(stream)
        try:
            with suppress(HungUp):
                await self._follow(sink, receive)
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

    async def _follow(self, sink: SseSink, receive: Receive) -> None:
        await self._begun(receive)
        reply = self._resumed.generation.reply()
        try:
            if not sink.ended:  # a shutdown may have cut it in the moment in which its answer began
                sink.subscribe(reply)
            while not sink.ended and (await receive())["type"] != "http.disconnect":
                pass
        finally:
            await reply.aclose()

    async def _begun(self, receive: Receive) -> None:
        """Wait for the beginning, and listen to the client. Raises HungUp, and what ended it before."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        hang_up = self._line.watch.over(receive, task, lambda _: False)
        try:
            await self._resuming.begun(self._resumed, hang_up)
        finally:
            hang_up.stop()

    def _sink(self, send: Send) -> SseSink:
        line = self._line
        return SseSink(
            stream=self._resumed.stream,
            send=send,
            headers=self._start,
            keep_alive_s=line.keep_alive_s,
            clock=line.clock,
            tasks=line.tasks,
            after=self._resumed.after,
        )

    def _start(self, head: Head | None) -> HeaderList:
        stream = self._resumed.stream
        headers = [*self._own, (b"x-llm-stream-id", stream.id.encode()), (b"x-llm-cache", stream.cache.encode())]
        if head is not None:
            headers += [
                (b"x-llm-provider", head.provider.encode()),
                (b"x-llm-model", header_value(head.upstream_model)),
            ]
        return headers
