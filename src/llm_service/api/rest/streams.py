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
from llm_service.domain import InvalidValue, NotFound, StreamCancelled
from llm_service.runtime import Clock, Tasks
from llm_service.streams import Generation, Stream, Streams

STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
MAX_DIGITS: Final = 15
HeaderList = list[tuple[bytes, bytes]]


class StreamRoutes:
    """For the owner of a stream alone: to all others it is not there."""

    def __init__(self, streams: Streams, *, options: ServerOptions, clock: Clock, tasks: Tasks) -> None:
        self._streams = streams
        self._options = options
        self._clock = clock
        self._tasks = tasks

    async def resume(self, request: Request) -> Response:
        """The events after ``after`` (a number or a cursor) or ``Last-Event-ID``, and whatever follows."""
        stream, generation = await self._stream(request)
        given = query_of(request, known=("after",)).get("after") or request.headers.get("last-event-id")
        try:
            after = 0 if given is None else number_in(given, stream.id)
        except InvalidValue:
            generation.leave()
            raise
        return await self._continued(stream, generation, after)

    async def cancel(self, request: Request) -> Response:
        """End the stream; the generation too, unless others read it."""
        stream, generation = await self._stream(request)
        try:
            running = await self._streams.runs(stream)
        finally:
            generation.leave()
        if running:
            await self._streams.cancel(stream)
        return json_response({"id": stream.id, "cancelled": running})

    async def continue_(
        self, cursor: str, *, owner: str, headers: HeaderList, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Respond with what follows a cursor. Raises InvalidValue, NotFound, and what ended it before it began."""
        stream_id, after = cursor_in(cursor)
        response = await self._continued(*await self._owned(stream_id, owner=owner), after, headers=headers)
        await response(scope, receive, send)

    async def _continued(
        self, stream: Stream, generation: Generation, after: int, *, headers: HeaderList | None = None
    ) -> Response:
        if not generation.keeps(after):
            generation.leave()
            raise NotFound(f"The beginning of the stream `{stream.id}` is no longer kept (streams.max_bytes).")
        if not generation.may_have(after):
            generation.leave()
            raise InvalidValue(f"The stream `{stream.id}` has no event {after} so far.", param="after")
        try:
            await generation.beginning()
        except BaseException:
            generation.leave()
            raise
        if generation.begun:
            return _Continued(self, stream, generation, after, headers=headers or [])
        generation.leave()
        ended = generation.outcome
        if ended is not None and ended.error is not None:
            raise ended.error.again()
        raise StreamCancelled("The stream was cancelled before its answer began.")

    async def _stream(self, request: Request) -> tuple[Stream, Generation]:
        return await self._owned(request.path_params["id"], owner=caller_of(request).key_id)

    async def _owned(self, stream_id: str, *, owner: str) -> tuple[Stream, Generation]:
        """The stream, if it is this owner's, and its generation, which the caller has joined. Raises NotFound."""
        stream = await self._streams.joined(stream_id, owner=owner)
        if stream is None or stream.generation is None:
            raise NotFound(
                f"There is no stream `{stream_id[:64]}` of this key; an ended one is kept for "
                f"{self._streams.retention_s:g} s (streams.retention_s)."
            )
        return stream, stream.generation

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


def cursor_in(text: str) -> tuple[str, int]:
    """Stream and number of a cursor such as ``str_0675fd8a.12``. Raises InvalidValue."""
    stream_id, dot, number = text.strip().rpartition(".")
    if not dot or not stream_id:
        raise InvalidValue("Last-Event-ID must be the id of an event, such as str_0675fd8a.12.", param="Last-Event-ID")
    return stream_id, number_in(number, stream_id)


def number_in(text: str, stream_id: str) -> int:
    """The number of an event, from the number alone or from a cursor of this stream. Raises InvalidValue."""
    number = text.strip().removeprefix(f"{stream_id}.")
    if not (number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS):
        said = f"'after' must be the number of an event, or its id, such as 12 or {stream_id[:64]}.12."
        raise InvalidValue(said, param="after")
    return int(number)
