"""``/v1/streams/{id}``: a stream is continued from where its reader left it, or cancelled."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.http_request import Receive, Scope, Send
from llm_service.api.options import ServerOptions
from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.sse_sink import SseSink
from llm_service.api.rest.wire import caller_of, header_value
from llm_service.api.resuming import Resumed, Resuming
from llm_service.runtime import Clock, Tasks
from llm_service.streams import Generation, Stream

STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
HeaderList = list[tuple[bytes, bytes]]


class StreamRoutes:
    """For the owner of a stream alone: to all others it is not there."""

    def __init__(self, resuming: Resuming, *, options: ServerOptions, clock: Clock, tasks: Tasks) -> None:
        self._resuming = resuming
        self._options = options
        self._clock = clock
        self._tasks = tasks

    async def resume(self, request: Request) -> Response:
        """The events after ``after`` (a number or a cursor) or ``Last-Event-ID``, and whatever follows."""
        given = query_of(request, known=("after",)).get("after") or request.headers.get("last-event-id")
        owner = caller_of(request).key_id
        resumed = await self._resuming.after(request.path_params["id"], given, owner=owner)
        return await self._continued(resumed)

    async def cancel(self, request: Request) -> Response:
        """End the stream; the generation too, unless others read it."""
        stream_id, running = await self._resuming.cancel(request.path_params["id"], owner=caller_of(request).key_id)
        return json_response({"id": stream_id, "cancelled": running})

    async def continue_(
        self, cursor: str, *, owner: str, headers: HeaderList, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Respond with what follows a cursor. Raises InvalidValue, NotFound, and what ended it before it began."""
        response = await self._continued(await self._resuming.at(cursor, owner=owner), headers=headers)
        await response(scope, receive, send)

    async def _continued(self, resumed: Resumed, *, headers: HeaderList | None = None) -> Response:
        await self._resuming.begun(resumed)
        return _Continued(self, resumed.stream, resumed.generation, resumed.after, headers=headers or [])

    async def send(
        self, stream: Stream, generation: Generation, after: int, headers: HeaderList, receive: Receive, send: Send
    ) -> None:
        """Write the events to the client until they end or it leaves."""
        sink = SseSink(
            stream=stream,
            send=send,
            headers=lambda head: [*headers],
            keep_alive_s=self._options.keep_alive_s,
            clock=self._clock,
            tasks=self._tasks,
            after=after,
        )
        stream.sinks.append(sink)
        reply = generation.reply()
        try:
            sink.subscribe(reply)
            while not sink.ended and (await receive())["type"] != "http.disconnect":
                pass
        finally:
            stream.sinks.remove(sink)
            if not sink.ended:
                sink.leave()
            await reply.aclose()
        await sink.written()


class _Continued(Response):
    """The rest of a stream."""

    def __init__(
        self,
        routes: StreamRoutes,
        stream: Stream,
        generation: Generation,
        after: int,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__()
        self._routes = routes
        self._stream = stream
        self._generation = generation
        self._after = after
        self._own = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream, head = self._stream, self._generation.head
        headers = [*STREAM_HEADERS, (b"x-llm-stream-id", stream.id.encode()), (b"x-llm-cache", stream.cache.encode())]
        if head is not None:
            headers += [
                (b"x-llm-provider", head.provider.encode()),
                (b"x-llm-model", header_value(head.upstream_model)),
            ]
        await self._routes.send(stream, self._generation, self._after, [*headers, *self._own], receive, send)
