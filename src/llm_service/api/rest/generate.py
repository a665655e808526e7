"""The hot routes: chat, text completion and embeddings, whole or streamed, whatever carries them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, cast

from llm_service.api.answered import Answered, unheard
from llm_service.api.call_options import NO_OPTIONS
from llm_service.api.calls import Calls
from llm_service.api.client import Client, Waiting, header_block
from llm_service.api.errors import error_block, error_body, spoken
from llm_service.api.http_request import Headers, HungUp, credentials_in, key_in
from llm_service.api.leaving import Leaving
from llm_service.api.options import ServerOptions
from llm_service.api.pieces import check_announced, let_pieces_pass, read_pieces, too_large
from llm_service.api.rest.cache_headers import PRIVATE, cache_block
from llm_service.api.rest.call_headers import options_of
from llm_service.api.rest.limit_headers import limit_lines, refusal_lines
from llm_service.api.rest.open_streams import OpenStreams
from llm_service.api.rest.sse_sink import SseSink
from llm_service.api.rest.streams import STREAM_BLOCK, StreamRoutes
from llm_service.api.rest.wire import answerer_block, json_object, request_in
from llm_service.api.serving import Written
from llm_service.domain import (
    LARGE_BYTES,
    Body,
    Caller,
    Head,
    InternalError,
    LimitReached,
    LLMServiceError,
    ModelRequest,
    Reply,
    RequestTooLarge,
    fact,
    require_scope,
    usd_text,
)
from llm_service.observability import Log
from llm_service.pipeline import Exchange
from llm_service.runtime import IdSource
from llm_service.services import Authenticator

Parse = Callable[[Body, int], ModelRequest]
METHOD: Final = "POST"
"""By which all hot routes are asked."""
_REPLAYED_COST: Final = b"x-llm-cost-usd: 0\r\nx-llm-cost-source: none\r\n"
"""What is given again under an ``Idempotency-Key`` has no record of its own: the first time was paid."""


class HotRoute(NamedTuple):
    """One of them, whichever of its spellings was asked: its template, and what makes a request of a body."""

    template: str
    parse: Parse


@fact
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
        self._open = OpenStreams(parts.authenticator)
        self._fixed = header_block(parts.fixed_headers)
        names = ("parse", *calls.gateway.stage_names)
        self._timing_forms = [
            b"server-timing: %b\r\n" % b", ".join(b"%b;dur=%%.2f" % name.encode() for name in names[:count])
            for count in range(len(names) + 1)
        ]

    async def serve(self, client: Client, task: "asyncio.Task[None]", *, route: HotRoute) -> None:
        """One request from its first byte to the last of its response, in this task."""
        serving = self._serving
        serving.begin(task)
        request_id = self._parts.ids.new("req")
        try:
            exchange = await self._exchange(client, request_id=request_id, parse=route.parse)
            if exchange.request.stream:
                await self._stream(exchange, client, route, task)
            else:
                reply = await self._ask(exchange, client, task)
                if (waiting := self._respond(exchange, reply, client, route)) is not None:
                    await waiting
        except HungUp:
            return  # nobody is left to be told
        except _ResumeAsked as asked:
            serving.end(task)  # a shutdown ends the generation, and the reading with it
            await self._resume(asked, client, route, request_id)
        except LLMServiceError as error:
            if (waiting := self._refuse(client, route, error, request_id)) is not None:
                await waiting
        except Exception as defect:  # noqa: BLE001 - whatever it is, the client is told
            self._log.error("defect", request_id=request_id, exc_info=defect)
            await self._give_up(client, route, serving.sink(task), request_id)
        finally:
            serving.end(task)

    async def _resume(self, asked: _ResumeAsked, client: Client, route: HotRoute, request_id: str) -> None:
        own = b"x-request-id: %b\r\n%b" % (request_id.encode(), self._fixed)
        try:
            await self._parts.resumed.continue_(asked.cursor, owner=asked.owner, head=own, client=client)
            self._answered(METHOD, route.template, 200)
        except LLMServiceError as error:
            if (waiting := self._refuse(client, route, error, request_id)) is not None:
                await waiting

    async def _give_up(self, client: Client, route: HotRoute, sink: Written | None, request_id: str) -> None:
        """End a request on which we failed: as its stream's last event once that has begun, as a response before."""
        error = InternalError("The service failed on this request; its log has the details under the request id.")
        if sink is None or not sink.opened:
            if (waiting := self._refuse(client, route, error, request_id)) is not None:
                await waiting
        else:
            sink.cut(error)
            await sink.written()

    # -- in

    async def _exchange(self, client: Client, *, request_id: str, parse: Parse) -> Exchange:
        parts, serving, monotonic = self._parts, self._serving, self._clock.monotonic
        begun_at, options = monotonic(), NO_OPTIONS
        try:
            if serving.draining is not None:
                raise serving.draining
            headers = client.headers()
            caller = self._caller(client, headers)
            if not isinstance(caller, Caller):
                caller = await serving.before_the_end(caller)
            require_scope(caller, "inference")
            options = options_of(headers)
            most_bytes = parts.options.max_body_bytes
            check_announced(headers, most_bytes)
            body = client.whole_body()
            if body is None:
                body = await serving.before_the_end(read_pieces(client.piece, most_bytes))
            elif len(body) > most_bytes:
                raise too_large(most_bytes)
            if not body and (cursor := headers.get(b"last-event-id")) is not None:
                raise _ResumeAsked(cursor.decode("latin-1"), caller.key_id)
            received_at = monotonic()
            if len(body) > LARGE_BYTES:
                request = await serving.before_the_end(request_in(body, parse))
            else:
                request = parse(json_object(body), len(body))
        except LLMServiceError as error:
            self._calls.refused(error, request_id=request_id, surface="rest", begun_at=begun_at, options=options)
            raise
        return self._calls.exchange(
            request, options, caller=caller, request_id=request_id, surface="rest", received_at=received_at
        )

    def _caller(self, client: Client, headers: Headers) -> Caller | Awaitable[Caller]:
        """Who asks: by the key alone where one is shown, which is nearly always so."""
        authenticator = self._parts.authenticator
        key = key_in(headers)
        holder = None if key is None else authenticator.holder(key, client.peer)
        if holder is None:
            return authenticator.authenticate(credentials_in(headers, method=METHOD, peer=client.peer))
        return holder

    async def _ask(self, exchange: Exchange, client: Client, task: "asyncio.Task[None]") -> Reply:
        """The gateway's reply, unless the client leaves first."""
        leaving = Leaving(task, exchange.goes_on)
        client.on_left(leaving.leave)
        try:
            return await self._calls.reply(exchange, leaving)
        finally:
            client.on_left(None)

    # -- out

    def _respond(self, exchange: Exchange, reply: Reply, client: Client, route: HotRoute) -> Waiting:
        """A whole answer."""
        body = reply.whole or b""
        cost = b""
        if (record := exchange.record) is not None:
            paid = (usd_text(record.nano_usd).encode(), record.cost_source.encode())
            cost = b"x-llm-cost-usd: %b\r\nx-llm-cost-source: %b\r\n" % paid
        elif exchange.is_free:
            cost = _REPLAYED_COST
        head = b"content-type: application/json\r\ncontent-length: %d\r\n%b%b%b" % (
            len(body), self._answer_block(exchange, reply.head), PRIVATE, cost
        )  # fmt: skip
        self._answered(METHOD, route.template, 200)
        return client.respond(200, head, body)

    async def _stream(self, exchange: Exchange, client: Client, route: HotRoute, task: "asyncio.Task[None]") -> None:
        stream = exchange.stream
        if stream is None:
            raise ValueError("an exchange that streams has a stream")
        sink = SseSink(
            stream=stream,
            client=client,
            start_head=lambda head: STREAM_BLOCK + self._answer_block(exchange, head),
            keep_alive_s=self._parts.options.keep_alive_s,
            clock=self._clock,
            tasks=self._calls.tasks,
        )
        self._serving.writes(task, sink)
        stream.sinks.append(sink)
        self._open.add(stream)
        try:
            await self._answer(exchange, sink, client, task)
        finally:
            self._open.remove(stream)
            stream.sinks.remove(sink)  # the stream is kept longer than its request
            if sink.opened:
                self._answered(METHOD, route.template, 200)

    async def _answer(self, exchange: Exchange, sink: SseSink, client: Client, task: "asyncio.Task[None]") -> None:
        try:
            reply = await self._ask(exchange, client, task)
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
            await self._follow(sink, reply, client)

    async def _follow(self, sink: SseSink, reply: Reply, client: Client) -> None:
        """Send the reply until it ends or the client leaves."""
        try:
            sink.subscribe(reply)
        except Exception:
            await reply.aclose()
            raise
        if not sink.ended:
            await client.gone()
        if not sink.ended:
            sink.leave()
        await sink.written()

    def _answer_block(self, exchange: Exchange, head: Head | None) -> bytes:
        """The header lines that tell of an answer; without ``head`` it has not begun, and little is known."""
        lines = [
            b"x-request-id: %b\r\n" % exchange.id.encode(),
            self._fixed,
            cache_block(exchange, self._clock.time()),
        ]
        if exchange.request.stream:
            lines.append(b"x-llm-stream-id: %b\r\n" % exchange.stream_id.encode())
        if head is not None:
            lines.append(answerer_block(head.provider, head.upstream_model))
            lines.append(b"x-llm-attempts: %d\r\n" % len(exchange.tries))
            lines.append(timing_block(self._timing_forms[len(exchange.marks) + 1], exchange))
        if (held := exchange.admitted.held) is not None:
            record = exchange.record
            used = None if record is None else 0 if exchange.is_free else record.input_tokens + record.output_tokens
            lines.append(limit_lines(held, tokens=used))
        return b"".join(lines)

    def _refuse(self, client: Client, route: HotRoute, error: LLMServiceError, request_id: str) -> Waiting:
        """Say what is wrong."""
        body = error_body(error, request_id=request_id)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b%b%b" % (
            len(body),
            request_id.encode(),
            self._fixed,
            error_block(error),
            PRIVATE,
            refusal_lines(error) if isinstance(error, LimitReached) else b"",
        )
        status = spoken(error).status
        self._answered(METHOD, route.template, status)
        if isinstance(error, RequestTooLarge) and error.provider is None:
            return self._refuse_early(client, status, head, body)
        return client.respond(status, head, body)

    async def _refuse_early(self, client: Client, status: int, head: bytes, body: bytes) -> None:
        """The same where the rest of the body is still to come, and not wanted."""
        self._serving.end(cast("asyncio.Task[None]", asyncio.current_task()))  # no shutdown waits for it, or ends it
        if (waiting := client.respond_early(status, head, body)) is not None:
            await waiting
        await let_pieces_pass(client.piece, client.headers())
        if (waiting := client.end(b"")) is not None:
            await waiting


def timing_block(form: bytes, exchange: Exchange) -> bytes:
    """Milliseconds of each stage on the way in; the provider's end with the reply's head (W3C Server Timing)."""
    marks = exchange.marks
    begun = exchange.received_at
    spans = []
    for moment in (*marks, exchange.head_at or marks[-1]):
        spans.append((moment - begun) * 1000)
        begun = moment
    return form % tuple(spans)
