"""One generation on a WebSocket, from the frame that asks for it to its end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

from llm_service.api.calls import Calls
from llm_service.api.http_request import HungUp
from llm_service.api.leaving import Leaving
from llm_service.api.resuming import Resumed, Resuming
from llm_service.api.websocket.asked import cursor_in, first_credit_in, options_in, request_in
from llm_service.api.websocket.frame_sink import FrameSink
from llm_service.api.websocket.frames import failed
from llm_service.api.websocket.wire import Wire
from llm_service.domain import (
    Body,
    Caller,
    InternalError,
    LLMServiceError,
    Reply,
    StreamCancelled,
    fact,
    require_scope,
)
from llm_service.observability import Log
from llm_service.pipeline import Exchange
from llm_service.runtime import IdSource
from llm_service.streams import CANCELLED, Stream

SURFACE: Final = "websocket"
Authenticate = Callable[[], Caller | Awaitable[Caller]]
"""Who asks, by the credentials of the socket. Raises what the authenticator does."""


@fact
class AnsweringParts:
    """What all generations of the door share."""

    calls: Calls
    resuming: Resuming
    ids: IdSource
    log: Log


class Answering:
    """Owned by its socket until its last frame; what is left to be done after that is done without it.

    ``name``: the client's own name of it. ``refusal``: why it never became one.
    """

    __slots__ = (
        "_cancelled", "_credit", "_credits", "_gone", "_leaving", "_on_end", "_parts", "_request_id", "_sink",
        "_stream", "_task", "_wire", "name", "refusal",
    )  # fmt: skip

    def __init__(self, name: str, parts: AnsweringParts, wire: Wire, *, on_end: Callable[["Answering"], None]) -> None:
        """``on_end`` is called with it as soon as its last frame is written."""
        self.name = name
        self.refusal: LLMServiceError | None = None
        self._on_end = on_end
        self._parts = parts
        self._wire = wire
        self._request_id = parts.ids.new("req")
        self._credit: int | None = None
        self._credits = 0
        self._cancelled = False
        self._stream: Stream | None = None
        self._sink: FrameSink | None = None
        self._leaving: Leaving | None = None
        self._task: asyncio.Task[None] | None = None
        self._gone = False

    # -- what the socket does

    async def create(self, frame: Body, frame_bytes: int, authenticate: Authenticate) -> None:
        """Answer a ``chat.create`` to its end; whatever goes wrong, the client is told."""
        await self._run(lambda: self._create(frame, frame_bytes, authenticate))

    async def resume(self, frame: Body, authenticate: Authenticate) -> None:
        """Answer a ``chat.resume`` to its end."""
        await self._run(lambda: self._resume(frame, authenticate))

    def add_credit(self, chunks: int) -> bool:
        """The client takes so many chunks more; whether it has said so more often than it was sent one."""
        self._credits += 1
        self._set_credit(chunks)
        return self._credits > 1 + (0 if self._sink is None else self._sink.chunks)

    def _set_credit(self, chunks: int) -> None:
        if self._sink is None:
            self._credit = (self._credit or 0) + chunks
        else:
            self._sink.add_credit(chunks)

    def flow(self) -> None:
        """The socket is full, or no longer."""
        if self._sink is not None:
            self._sink.flow()

    def cancel(self) -> bool:
        """Its client does not want it any more; whether that is news."""
        news, self._cancelled = not self._cancelled, True
        if news:
            self._parts.calls.tasks.spawn(self._cancel(), name="cancel over a WebSocket")
        return news

    async def _cancel(self) -> None:
        """End it, for all its readers unless others asked for it too."""
        stream = self._stream
        if stream is not None:
            await self._parts.resuming.give_up(stream)
        self.end(StreamCancelled(CANCELLED))

    def revoke(self, error: LLMServiceError) -> None:
        """Its key may do nothing any more."""
        if self._stream is not None:
            self._stream.cancel(error)
        self.end(error)

    def end(self, error: LLMServiceError) -> None:
        """End it with this error, at whatever point it is."""
        if self._sink is not None:
            self._sink.cut(error)
        elif not self._gone:
            self._write_failure(error)
        self.leave()

    def leave(self) -> None:
        """The client is gone; idempotent."""
        if self._gone:
            return
        self._gone = True
        if self._sink is not None and self._sink.opened:
            self._sink.leave()
        elif self._leaving is not None:
            self._leaving.leave()
        elif self._task is not None:
            self._task.cancel()

    # -- its life

    async def _run(self, answer: Callable[[], Awaitable[None]]) -> None:
        if self._gone:  # before it could begin
            return
        serving = self._parts.calls.serving
        self._task = task = cast("asyncio.Task[None]", asyncio.current_task())
        serving.begin(task)
        try:
            await answer()
        except HungUp:
            pass  # nobody is left to be told, or whoever ended it has told
        except LLMServiceError as error:
            self._fail(error)
        except asyncio.CancelledError:
            if not self._gone:
                raise
            task.uncancel()
        except Exception as defect:  # noqa: BLE001 - whatever it is, the client is told
            self._fail_by(defect)
        finally:
            serving.end(task)

    def _fail(self, error: LLMServiceError) -> None:
        self.refusal = error if self._stream is None else None
        if self._sink is not None:
            self._sink.fail(error)
        elif not self._gone:
            self._write_failure(error)

    def _write_failure(self, error: LLMServiceError) -> None:
        self._wire.write(failed(error, request_id=self._request_id, name=self.name))
        self._on_end(self)

    def _fail_by(self, defect: Exception) -> None:
        self._parts.log.error("defect", request_id=self._request_id, exc_info=defect)
        self._fail(InternalError("The service failed on this request; its log has the details under its id."))

    async def _create(self, frame: Body, frame_bytes: int, authenticate: Authenticate) -> None:
        exchange = await self._exchange(frame, frame_bytes, authenticate)
        stream = self._stream = cast("Stream", exchange.stream)
        sink = self._sink_for(stream)
        stream.sinks.append(sink)
        try:
            await self._follow(sink, await self._ask(exchange))
        finally:
            stream.sinks.remove(sink)  # the stream is kept longer than its request

    async def _exchange(self, frame: Body, frame_bytes: int, authenticate: Authenticate) -> Exchange:
        calls = self._parts.calls
        received_at = calls.clock.monotonic()
        with self._noted():
            allowed = await self._allowed(authenticate)
            options = options_in(frame)
            self._set_first_credit(frame)
            request = request_in(frame, frame_bytes)
        return calls.exchange(
            request,
            options,
            caller=allowed,
            request_id=self._request_id,
            surface=SURFACE,
            received_at=received_at,
        )

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """What is refused before it is an exchange, or a stream that goes on, is told to the listeners."""
        calls = self._parts.calls
        begun_at = calls.clock.monotonic()
        try:
            yield
        except LLMServiceError as error:
            calls.refused(error, request_id=self._request_id, surface=SURFACE, begun_at=begun_at)
            raise

    async def _allowed(self, authenticate: Authenticate) -> Caller:
        caller = authenticate()
        if not isinstance(caller, Caller):
            caller = await self._parts.calls.serving.before_the_end(caller)
        require_scope(caller, "inference")
        return caller

    def _set_first_credit(self, frame: Body) -> None:
        first = first_credit_in(frame)
        if first is not None:
            self._set_credit(first)

    async def _ask(self, exchange: Exchange) -> Reply:
        """The gateway's reply, unless the client leaves first."""
        leaving = self._leaving = Leaving(cast("asyncio.Task[None]", self._task), exchange.goes_on)
        try:
            return await self._parts.calls.reply(exchange, leaving)
        finally:
            self._leaving = None

    async def _resume(self, frame: Body, authenticate: Authenticate) -> None:
        with self._noted():
            resumed = await self._resumed(frame, await self._allowed(authenticate))
        stream = self._stream = resumed.stream
        sink = self._sink_for(stream, after=resumed.after)
        stream.sinks.append(sink)
        try:
            await self._begun(resumed)
            reply = resumed.generation.reply()
            try:
                await self._follow(sink, reply)
            finally:
                await reply.aclose()
        finally:
            stream.sinks.remove(sink)

    async def _resumed(self, frame: Body, caller: Caller) -> Resumed:
        self._set_first_credit(frame)
        stream_id, after = cursor_in(frame)
        found = self._parts.resuming.after(stream_id, after, owner=caller.key_id)
        return await self._parts.calls.serving.before_the_end(found)

    async def _begun(self, resumed: Resumed) -> None:
        """Until there is something to read of the stream, unless the client leaves first."""
        calls = self._parts.calls
        leaving = self._leaving = Leaving(cast("asyncio.Task[None]", self._task), lambda _: False)
        try:
            await calls.serving.before_the_end(self._parts.resuming.begun(resumed, leaving))
        finally:
            self._leaving = None

    def _sink_for(self, stream: Stream, *, after: int = 0) -> FrameSink:
        calls = self._parts.calls
        sink = self._sink = FrameSink(
            self.name,
            stream,
            self._wire,
            clock=calls.clock,
            credit=self._credit,
            after=after,
            on_end=lambda: self._on_end(self),
        )
        calls.serving.writes(cast("asyncio.Task[None]", self._task), sink)
        return sink

    async def _follow(self, sink: FrameSink, reply: Reply) -> None:
        """Send the reply until it ends or the client leaves."""
        if sink.ended:  # it was cut in the moment in which its answer began
            await reply.aclose()
            return
        try:
            sink.subscribe(reply)
        except Exception:
            await reply.aclose()
            raise
        if self._gone:
            sink.leave()
        await sink.written()
