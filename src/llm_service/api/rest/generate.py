"""The hot routes: chat, text completion and embeddings, whole or streamed, on plain ASGI."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from llm_service.api.answered import Answered, unheard
from llm_service.api.call_options import NO_OPTIONS
from llm_service.api.calls import Calls
from llm_service.api.errors import error_body, error_headers, spoken
from llm_service.api.http_request import HungUp, Receive, Scope, Send, credentials_of, headers_of
from llm_service.api.options import ServerOptions
from llm_service.api.rest.cache_headers import PRIVATE, cache_headers
from llm_service.api.rest.call_headers import options_of
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.api.rest.limit_headers import limit_headers, refusal_headers
from llm_service.api.rest.open_streams import OpenStreams
from llm_service.api.rest.sse_sink import SseSink
from llm_service.api.rest.streams import STREAM_HEADERS, StreamRoutes
from llm_service.api.rest.wire import header_value, json_object, let_pass, read_body
from llm_service.api.serving import Written
from llm_service.api.whole_response import respond
from llm_service.domain import (
    Body,
    Caller,
    Head,
    InternalError,
    LimitReached,
    LLMServiceError,
    ModelRequest,
    Reply,
    RequestTooLarge,
    require_scope,
    usd_text,
)
from llm_service.observability import Log
from llm_service.pipeline import Exchange
from llm_service.runtime import IdSource
from llm_service.services import Authenticator

HeaderList = list[tuple[bytes, bytes]]
Parse = Callable[[Body, int], ModelRequest]
_JSON: Final = (b"content-type", b"application/json")
_REPLAYED_COST: Final = ((b"x-llm-cost-usd", b"0"), (b"x-llm-cost-source", b"none"))
"""What is given again under an ``Idempotency-Key`` has no record of its own: the first time was paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorParts:
    """What the door is built from."""

    calls: Calls
    authenticator: Authenticator
    log: Log
    options: ServerOptions
    resumed: StreamRoutes
    ids: IdSource
    fixed_headers: tuple[tuple[bytes, bytes], ...] = ()
    answered: Answered = unheard


class _ResumeAsked(Exception):
    """The request is not for a new answer: it goes on with a stream."""

    def __init__(self, cursor: str, owner: str) -> None:
        super().__init__(cursor)
        self.cursor = cursor
        self.owner = owner


class GenerateDoor:
    """Turns REST requests into exchanges and replies into responses."""

    def __init__(self, parts: DoorParts) -> None:
        self._parts = parts
        self._calls = calls = parts.calls
        self._serving = calls.serving
        self._clock = calls.clock
        self._log = parts.log
        self._answered = parts.answered
        self._hang_ups = HangUpWatch(clock=calls.clock, tasks=calls.tasks)
        self._open = OpenStreams(parts.authenticator)
        names = ("parse", *calls.gateway.stage_names)
        self._timing_forms = [
            b", ".join(b"%b;dur=%%.2f" % n.encode() for n in names[:k]) for k in range(len(names) + 1)
        ]

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, parse: Parse) -> None:
        """One request from its first byte to the last of its response."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving.begin(task)
        request_id = self._parts.ids.new("req")
        try:
            exchange = await self._exchange(scope, receive, request_id=request_id, parse=parse)
            if exchange.request.stream:
                await self._stream(exchange, scope, receive, send, task)
            else:
                await self._whole(exchange, scope, receive, send, task)
        except HungUp:
            return  # nobody is left to be told
        except _ResumeAsked as asked:
            self._serving.end(task)  # a shutdown ends the generation, and the reading with it
            await self._resume(asked, scope, receive, send, request_id)
        except RequestTooLarge as error:
            self._serving.end(task)  # it has its answer: a shutdown neither waits for it nor ends it
            await self._refuse(scope, send, error, request_id, unread=None if error.provider else receive)
        except LLMServiceError as error:
            await self._refuse(scope, send, error, request_id)
        except Exception as defect:  # noqa: BLE001 - whatever it is, the client is told
            self._log.error("defect", request_id=request_id, exc_info=defect)
            await self._give_up(scope, send, self._serving.sink(task), request_id)
        finally:
            self._serving.end(task)

    async def _resume(self, asked: _ResumeAsked, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        own = [(b"x-request-id", request_id.encode()), *self._parts.fixed_headers]
        try:
            await self._parts.resumed.continue_(
                asked.cursor, owner=asked.owner, headers=own, scope=scope, receive=receive, send=send
            )
            self._answered(scope["method"], route_of(scope), 200)
        except LLMServiceError as error:
            await self._refuse(scope, send, error, request_id)

    async def _give_up(self, scope: Scope, send: Send, sink: Written | None, request_id: str) -> None:
        """End a request on which we failed: as its stream's last event once that has begun, as a response before."""
        error = InternalError("The service failed on this request; its log has the details under the request id.")
        if sink is None or not sink.opened:
            await self._refuse(scope, send, error, request_id)
        else:
            sink.cut(error)
            await sink.written()

    # -- in

    async def _exchange(self, scope: Scope, receive: Receive, *, request_id: str, parse: Parse) -> Exchange:
        parts, serving = self._parts, self._serving
        begun_at, options = self._clock.monotonic(), NO_OPTIONS
        try:
            if serving.draining is not None:
                raise serving.draining
            headers = headers_of(scope)
            caller = parts.authenticator.authenticate(credentials_of(scope, headers))
            if not isinstance(caller, Caller):
                caller = await serving.before_the_end(caller)
            require_scope(caller, "inference")
            options = options_of(headers)
            body = await serving.before_the_end(read_body(receive, headers, parts.options.max_body_bytes))
            if not body and (cursor := headers.get(b"last-event-id")) is not None:
                raise _ResumeAsked(cursor.decode("latin-1"), caller.key_id)
            received_at = self._clock.monotonic()
            request = parse(json_object(body), len(body))
        except LLMServiceError as error:
            self._calls.refused(error, request_id=request_id, surface="rest", begun_at=begun_at, options=options)
            raise
        return self._calls.exchange(
            request, options, caller=caller, request_id=request_id, surface="rest", received_at=received_at
        )

    async def _ask(self, exchange: Exchange, receive: Receive, task: "asyncio.Task[None]") -> Reply:
        """The gateway's reply, unless the client leaves first."""
        hang_up = self._hang_ups.over(receive, task, exchange.goes_on)
        try:
            return await self._calls.reply(exchange, hang_up)
        finally:
            hang_up.stop()

    # -- out

    async def _whole(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, task: "asyncio.Task[None]"
    ) -> None:
        reply = await self._ask(exchange, receive, task)
        body = reply.whole or b""
        headers = [_JSON, (b"content-length", b"%d" % len(body)), *self._answer_headers(exchange, reply.head), PRIVATE]
        if (record := exchange.record) is not None:
            headers.append((b"x-llm-cost-usd", usd_text(record.nano_usd).encode()))
            headers.append((b"x-llm-cost-source", record.cost_source.encode()))
        elif exchange.is_free:
            headers += _REPLAYED_COST
        self._answered(scope["method"], route_of(scope), 200)
        await respond(scope, send, status=200, headers=headers, body=body)

    async def _stream(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, task: "asyncio.Task[None]"
    ) -> None:
        stream = exchange.stream
        if stream is None:
            raise ValueError("an exchange that streams has a stream")
        sink = SseSink(
            stream=stream,
            send=send,
            headers=lambda head: [*STREAM_HEADERS, *self._answer_headers(exchange, head)],
            keep_alive_s=self._parts.options.keep_alive_s,
            clock=self._clock,
            tasks=self._calls.tasks,
        )
        self._serving.writes(task, sink)
        stream.sinks.append(sink)
        self._open.add(stream)
        try:
            await self._answer(exchange, sink, receive, task)
        finally:
            self._open.remove(stream)
            stream.sinks.remove(sink)  # the stream is kept longer than its request
            if sink.opened:
                self._answered(scope["method"], route_of(scope), 200)

    async def _answer(self, exchange: Exchange, sink: SseSink, receive: Receive, task: "asyncio.Task[None]") -> None:
        try:
            reply = await self._ask(exchange, receive, task)
        except LLMServiceError as error:
            if not sink.opened:
                sink.stop()
                raise
            if not sink.ended:  # otherwise it was cut, and has its error
                sink.fail(error)
            await sink.written()
            return
        except HungUp:
            sink.stop()
            await sink.written()  # a stream that was cancelled says so
            raise
        except BaseException:
            sink.stop()
            raise
        if sink.ended:  # a shutdown, or its owner, cut the stream in the moment in which its answer began
            await reply.aclose()
        else:
            await self._follow(sink, reply, receive)

    async def _follow(self, sink: SseSink, reply: Reply, receive: Receive) -> None:
        """Send the reply until it ends or the client leaves."""
        try:
            sink.subscribe(reply)
        except Exception:
            await reply.aclose()
            raise
        while not sink.ended and (await receive())["type"] != "http.disconnect":
            pass
        if not sink.ended:
            sink.leave()
        await sink.written()

    def _answer_headers(self, exchange: Exchange, head: Head | None) -> HeaderList:
        headers = [(b"x-request-id", exchange.id.encode()), *self._parts.fixed_headers]
        headers += cache_headers(exchange, self._clock.time())
        if exchange.request.stream:
            headers.append((b"x-llm-stream-id", exchange.stream_id.encode()))
        if head is not None:
            headers.append((b"x-llm-provider", head.provider.encode()))
            headers.append((b"x-llm-model", header_value(head.upstream_model)))
            headers.append((b"x-llm-attempts", b"%d" % len(exchange.tries)))
            headers.append((b"server-timing", server_timing(self._timing_forms[len(exchange.marks) + 1], exchange)))
        if exchange.admitted.held is not None:
            record = exchange.record
            used = None if record is None else 0 if exchange.is_free else record.input_tokens + record.output_tokens
            headers += limit_headers(exchange.admitted.held, tokens=used)
        return headers

    async def _refuse(
        self, scope: Scope, send: Send, error: LLMServiceError, request_id: str, *, unread: Receive | None = None
    ) -> None:
        """Say what is wrong. ``unread``: the rest of the body is still to come, and not wanted."""
        body = error_body(error, request_id=request_id)
        headers = [
            _JSON,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
            *self._parts.fixed_headers,
            *error_headers(error),
            PRIVATE,
        ]
        if isinstance(error, LimitReached):
            headers += refusal_headers(error)
        status = spoken(error).status
        self._answered(scope["method"], route_of(scope), status)
        if unread is None:
            await respond(scope, send, status=status, headers=headers, body=body)
            return
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await let_pass(scope, unread)
        await send({"type": "http.response.body", "body": b""})


def route_of(scope: Scope) -> str:
    """The route's template, whichever of its spellings was asked."""
    path: str = scope["path"].rstrip("/")
    return path if path.startswith("/v1/") else f"/v1{path}"


def server_timing(form: bytes, exchange: Exchange) -> bytes:
    """Milliseconds of each stage on the way in; the provider's end with the reply's head (W3C Server Timing)."""
    marks = exchange.marks
    begun = exchange.received_at
    spans = []
    for moment in (*marks, exchange.head_at or marks[-1]):
        spans.append((moment - begun) * 1000)
        begun = moment
    return form % tuple(spans)
