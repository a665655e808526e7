"""The hot routes: chat, text completion and embeddings, whole or streamed, on plain ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from llm_service.api.errors import error_body, error_headers, spoken
from llm_service.api.options import ServerOptions
from llm_service.api.rest.cache_headers import PRIVATE, cache_headers
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.api.rest.limit_headers import limit_headers, refusal_headers
from llm_service.api.rest.sse_sink import SseSink
from llm_service.api.rest.streams import STREAM_HEADERS, StreamRoutes
from llm_service.api.rest.wire import (
    HungUp,
    Receive,
    Scope,
    Send,
    credentials_of,
    header_value,
    headers_of,
    idempotency_key_of,
    json_object,
    let_pass,
    on_disconnect_of,
    read_body,
    tags_of,
    timeout_of,
    user_of,
)
from llm_service.api.whole_response import respond
from llm_service.domain import (
    ANY_ANSWER,
    Body,
    Caller,
    Draining,
    Head,
    InternalError,
    LimitReached,
    LLMServiceError,
    ModelRequest,
    Outcome,
    Reply,
    RequestTooLarge,
    cache_control,
    require_scope,
    usd_text,
)
from llm_service.observability import Listeners, Log, RequestFinished
from llm_service.pipeline import Exchange
from llm_service.runtime import Clock, IdSource, Tasks
from llm_service.services import Authenticator, Gateway
from llm_service.streams import Stream, Streams

HeaderList = list[tuple[bytes, bytes]]
Headers = Mapping[bytes, bytes]
Parse = Callable[[Body, int], ModelRequest]
Found = TypeVar("Found")
_JSON: Final = (b"content-type", b"application/json")
_REPLAYED_COST: Final = ((b"x-llm-cost-usd", b"0"), (b"x-llm-cost-source", b"none"))
"""What is given again under an ``Idempotency-Key`` has no record of its own: the first time was paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorParts:
    """What the door is built from. ``finish``: streams whose request does not say go on without their client."""

    gateway: Gateway
    authenticator: Authenticator
    listeners: Listeners
    log: Log
    options: ServerOptions
    streams: Streams
    resumed: StreamRoutes
    finish: bool
    clock: Clock
    ids: IdSource
    tasks: Tasks
    fixed_headers: tuple[tuple[bytes, bytes], ...] = ()


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
        self._clock = parts.clock
        self._log = parts.log
        self._serving: dict[asyncio.Task[None], SseSink | None] = {}
        self._draining: Draining | None = None
        self._hang_ups = HangUpWatch(clock=parts.clock, tasks=parts.tasks)
        names = ("parse", *parts.gateway.stage_names)
        self._timing_forms = [
            b", ".join(b"%b;dur=%%.2f" % n.encode() for n in names[:k]) for k in range(len(names) + 1)
        ]

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, parse: Parse) -> None:
        """One request from its first byte to the last of its response."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving[task] = None
        request_id = self._parts.ids.new("req")
        try:
            exchange = await self._exchange(scope, receive, request_id=request_id, parse=parse)
            if exchange.request.stream:
                await self._stream(exchange, receive, send, task)
            else:
                await self._whole(exchange, scope, receive, send, task)
        except HungUp:
            return  # nobody is left to be told
        except _ResumeAsked as asked:
            del self._serving[task]  # a shutdown ends the generation, and the reading with it
            await self._resume(asked, scope, receive, send, request_id)
        except RequestTooLarge as error:
            del self._serving[task]  # it has its answer: a shutdown neither waits for it nor ends it
            await self._refuse(scope, send, error, request_id, unread=None if error.provider else receive)
        except LLMServiceError as error:
            await self._refuse(scope, send, error, request_id)
        except Exception as defect:  # noqa: BLE001 - whatever it is, the client is told
            self._log.error("defect", request_id=request_id, exc_info=defect)
            await self._give_up(scope, send, self._serving[task], request_id)
        finally:
            self._serving.pop(task, None)

    async def _resume(self, asked: _ResumeAsked, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        own = [(b"x-request-id", request_id.encode()), *self._parts.fixed_headers]
        try:
            await self._parts.resumed.continue_(
                asked.cursor, owner=asked.owner, headers=own, scope=scope, receive=receive, send=send
            )
        except LLMServiceError as error:
            await self._refuse(scope, send, error, request_id)

    async def _give_up(self, scope: Scope, send: Send, sink: SseSink | None, request_id: str) -> None:
        """End a request on which we failed: as its stream's last event once that has begun, as a response before."""
        error = InternalError("The service failed on this request; its log has the details under the request id.")
        if sink is None or not sink.opened:
            await self._refuse(scope, send, error, request_id)
        else:
            sink.cut(error)
            await sink.written()

    async def drain(self, grace_s: float, *, hurried: asyncio.Event) -> None:
        """Take nothing new; what still runs after ``grace_s``, or when hurried, ends with an error that says so."""
        self._draining = Draining("The service is shutting down; send the request again.", retry_after_s=1.0)
        hurry = asyncio.ensure_future(hurried.wait())
        finished = asyncio.ensure_future(self._all_served())
        await asyncio.wait({finished, hurry}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        hurry.cancel()
        for task, sink in tuple(self._serving.items()):
            if sink is not None and sink.opened:
                sink.cut(self._draining)
            else:
                task.cancel()
        self._parts.streams.cancel_running(self._draining)

    async def _all_served(self) -> None:
        """Until no request is being answered, and no stream runs for those who may resume it."""
        if self._serving:
            await asyncio.wait(tuple(self._serving))
        await self._parts.streams.all_ended()

    # -- in

    async def _exchange(self, scope: Scope, receive: Receive, *, request_id: str, parse: Parse) -> Exchange:
        parts = self._parts
        begun_at = self._clock.monotonic()
        try:
            if self._draining is not None:
                raise self._draining
            headers = headers_of(scope)
            caller = parts.authenticator.authenticate(credentials_of(scope, headers))
            if not isinstance(caller, Caller):
                caller = await self._before_the_end(caller)
            require_scope(caller, "inference")
            finish = self._finishes(headers, caller)
            timeout_s, user, tags = timeout_of(headers), user_of(headers), tags_of(headers)
            idempotency_key = idempotency_key_of(headers)
            control = headers.get(b"cache-control")
            asked = ANY_ANSWER if control is None else cache_control(control.decode("latin-1"))
            body = await self._before_the_end(read_body(receive, headers, parts.options.max_body_bytes))
            if not body and (cursor := headers.get(b"last-event-id")) is not None:
                raise _ResumeAsked(cursor.decode("latin-1"), caller.key_id)
            received_at = self._clock.monotonic()
            request = parse(json_object(body), len(body))
        except LLMServiceError as error:
            self._tell_refusal(error, request_id=request_id, begun_at=begun_at)
            raise
        stream_id = f"str_{request_id[4:]}"
        exchange = Exchange(
            id=request_id,
            stream_id=stream_id,
            surface="rest",
            request=request,
            caller=caller,
            tasks=parts.tasks,
            received_at=received_at,
            deadline=None if timeout_s is None else received_at + timeout_s,
            user=user_for(caller, user or request.user),
            tags=tags_for(caller, tags),
            at=self._clock.now(),
            control=asked,
            finish=finish or idempotency_key is not None,
            idempotency_key=idempotency_key,
        )
        if request.stream:
            exchange.stream = Stream(
                id=stream_id, request_id=request_id, owner=caller.key_id, include_usage=request.include_usage
            )
        return exchange

    def _finishes(self, headers: Headers, caller: Caller) -> bool:
        """Whether the generation goes on without its client: the request says so, else its key, else the settings."""
        asked = on_disconnect_of(headers) or (caller.key.on_disconnect if caller.key is not None else None)
        return self._parts.finish if asked is None else asked == "finish"

    async def _before_the_end(self, awaited: Awaitable[Found]) -> Found:
        """What is still to come of a request, unless the grace of a shutdown ends before it."""
        try:
            return await awaited
        except asyncio.CancelledError:
            if self._draining is None:
                raise
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
            raise self._draining from None

    def _tell_refusal(self, error: LLMServiceError, *, request_id: str, begun_at: float) -> None:
        """A request that never became an exchange is told to the listeners all the same."""
        fact = RequestFinished(
            request_id=request_id,
            stream_id=None,
            surface="rest",
            key_id=None,
            model=None,
            provider=None,
            upstream_model=None,
            stream=False,
            first_content_ms=None,
            duration_ms=(self._clock.monotonic() - begun_at) * 1000,
            outcome=Outcome(status="refused", error=error),
        )
        self._parts.listeners.request_finished(fact)

    async def _ask(self, exchange: Exchange, receive: Receive, task: "asyncio.Task[None]") -> Reply:
        """The gateway's reply, unless the client leaves first."""
        hang_up = self._hang_ups.over(receive, task, exchange.goes_on)
        readers = exchange.stream.sinks if exchange.stream is not None else []
        readers.append(hang_up)
        try:
            return await self._parts.gateway.chat(exchange)
        except asyncio.CancelledError:
            if not hang_up.happened and self._draining is None:
                raise
            task.uncancel()
            if hang_up.happened or self._draining is None:
                raise HungUp from None
            raise self._draining from None
        finally:
            readers.remove(hang_up)
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
        await respond(scope, send, status=200, headers=headers, body=body)

    async def _stream(self, exchange: Exchange, receive: Receive, send: Send, task: "asyncio.Task[None]") -> None:
        stream = exchange.stream
        if stream is None:
            raise ValueError("an exchange that streams has a stream")
        sink = SseSink(
            stream=stream,
            send=send,
            headers=lambda head: [*STREAM_HEADERS, *self._answer_headers(exchange, head)],
            keep_alive_s=self._parts.options.keep_alive_s,
            clock=self._clock,
            tasks=self._parts.tasks,
        )
        self._serving[task] = sink
        stream.sinks.append(sink)
        try:
            await self._answer(exchange, sink, receive, task)
        finally:
            stream.sinks.remove(sink)  # the stream is kept longer than its request

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
            headers.append((b"x-llm-attempts", b"%d" % (head.attempts if exchange.called else 0)))
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
        ]
        if isinstance(error, LimitReached):
            headers += refusal_headers(error)
        status = spoken(error).status
        if unread is None:
            await respond(scope, send, status=status, headers=headers, body=body)
            return
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await let_pass(scope, unread)
        await send({"type": "http.response.body", "body": b""})


def user_for(caller: Caller, named: str | None) -> str | None:
    """Whom a request is counted for: the user that the key belongs to, else the one that the request names."""
    return named if caller.key is None or caller.key.user is None else caller.key.user


def tags_for(caller: Caller, named: Mapping[str, str]) -> Mapping[str, str]:
    """The tags of a request; those of the key win."""
    if caller.key is None or not caller.key.tags:
        return named
    return {**named, **caller.key.tags} if named else caller.key.tags


def server_timing(form: bytes, exchange: Exchange) -> bytes:
    """Milliseconds of each stage on the way in; the provider's end with the reply's head (W3C Server Timing)."""
    marks = exchange.marks
    begun = exchange.received_at
    spans = []
    for moment in (*marks, exchange.head_at or marks[-1]):
        spans.append((moment - begun) * 1000)
        begun = moment
    return form % tuple(spans)
