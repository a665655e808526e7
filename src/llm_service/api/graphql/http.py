"""GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/): one operation, a batch, or events."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import orjson

from llm_service.api.call_options import NO_TRACE
from llm_service.api.client import header_block
from llm_service.api.errors import error_headers, spoken
from llm_service.api.graphql.context import Context
from llm_service.api.graphql.documents import Asked, Prepared, asked_in, asked_of_json, check_values
from llm_service.api.graphql.engine import Engine, Refused
from llm_service.api.graphql.failures import DEFECT, Told, told
from llm_service.api.graphql.negotiation import EVENTS, JSON, RESPONSE, NotAcceptable, media_type
from llm_service.api.graphql.operation import Operation
from llm_service.api.graphql.parts import GraphqlParts
from llm_service.api.graphql.revocation import Operations
from llm_service.api.graphql.sse import EventOutlet
from llm_service.api.http_request import Headers, HungUp, Receive, Scope, Send, credentials_of, headers_of, peer_of
from llm_service.api.leaving import Leaving
from llm_service.api.rest.call_headers import trace_of
from llm_service.api.rest.hang_up import HangUp, HangUpWatch
from llm_service.api.rest.wire import let_pass, read_body
from llm_service.api.whole_response import respond
from llm_service.domain import (
    Caller,
    Credentials,
    DocumentTooComplex,
    Inbox,
    InternalError,
    InvalidJson,
    InvalidRequest,
    InvalidValue,
    LLMServiceError,
    MethodNotAllowed,
    RequestTooLarge,
)
from llm_service.streams import Stream

UNSUPPORTED: Final = 415
NOT_ACCEPTABLE: Final = 406
IN_QUERY: Final = ("query", "operationName", "variables", "extensions", "documentId")
JSON_IN_QUERY: Final = ("variables", "extensions")


class WrongMediaType(InvalidRequest):
    """The body is not sent as JSON."""


@dataclass(slots=True)
class _Watch:
    """A watch over a client that waits for the whole of its answer."""

    leaving: Leaving
    hang_up: HangUp

    def stop(self) -> None:
        self.hang_up.stop()


class HttpClient:
    """Who sent a request and waits for one response."""

    def __init__(self, watch: HangUpWatch, receive: Receive) -> None:
        self._watch = watch
        self._receive = receive
        self._left = False

    def over(self, serving: "asyncio.Task[Any]", goes_on: Any) -> _Watch:
        """Watch over it; raises HungUp when it has left already."""
        leaving = Leaving(serving, goes_on)
        return _Watch(leaving, self._watch.over(self._receive, leaving.leave))

    def reads(self, inbox: Inbox, stream: Stream) -> None:
        """Subscriptions go to clients that take events."""
        raise TypeError("a response cannot be subscribed to")


class HttpDoor:
    """Answers requests of HTTP."""

    def __init__(self, parts: GraphqlParts, engine: Engine, operations: Operations) -> None:
        self._parts = parts
        self._engine = engine
        self._operations = operations
        self._serving = parts.calls.serving
        self._hang_ups = HangUpWatch(clock=parts.calls.clock, tasks=parts.calls.tasks)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request from its first byte to the last of its response."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving.begin(task)
        exchange = _Response(self._parts, scope, send, request_id=self._parts.ids.new("req"))
        try:
            await self._serve(scope, receive, exchange, task)
        except HungUp:
            return  # nobody is left to be told
        except RequestTooLarge as error:
            self._serving.end(task)
            await exchange.refuse(error, unread=receive)
        except LLMServiceError as error:
            await exchange.refuse(error)
        except asyncio.CancelledError:
            if self._serving.draining is None:
                raise
            task.uncancel()
            await exchange.refuse(self._serving.draining)
        except Exception as defect:
            self._parts.log.error("defect", request_id=exchange.request_id, exc_info=defect)  # noqa: TRY400 - this log is no logger
            await exchange.refuse(InternalError(DEFECT))
        finally:
            self._serving.end(task)

    async def _serve(self, scope: Scope, receive: Receive, response: "_Response", task: "asyncio.Task[None]") -> None:
        if self._serving.draining is not None:
            raise self._serving.draining
        headers = headers_of(scope)
        response.media_type = media_type(headers.get(b"accept"))
        response.trace = trace_of(headers)
        if scope["method"] not in ("GET", "POST"):
            raise MethodNotAllowed("GraphQL is asked by POST, and queries by GET too.", allowed=("GET", "POST"))
        if scope["method"] == "POST" and not _is_json(headers):
            raise WrongMediaType("The body must be sent as 'Content-Type: application/json'.", param="Content-Type")
        credentials = credentials_of(scope, headers)
        caller = await self._caller(credentials)
        asked, batch = await self._asked(scope, headers, receive)
        if response.media_type == EVENTS:
            await self._send_events(asked, batch, caller, credentials, scope, receive, response, task)
            return
        contexts = [self._context(caller, credentials, scope, receive, response, at) for at in range(len(asked))]
        prepared = self._prepared(asked, contexts, scope, batch=batch)
        results = [await self._result(one, context) for one, context in zip(prepared, contexts, strict=True)]
        if batch:
            await response.send(results, status=200)
        else:
            await response.send(results[0], status=response.status_of(results[0], prepared[0]))

    # -- in

    async def _caller(self, credentials: Credentials) -> Caller:
        caller = self._parts.authenticator.authenticate(credentials)
        return caller if isinstance(caller, Caller) else await self._serving.before_the_end(caller)

    async def _asked(self, scope: Scope, headers: Headers, receive: Receive) -> tuple[list[Asked], bool]:
        """The operations, and whether they came as a batch."""
        if scope["method"] == "GET":
            return [asked_in(_query_of(scope))], False
        body = await self._serving.before_the_end(read_body(receive, headers, self._parts.server.max_body_bytes))
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidJson(f"The body is not valid JSON: {error.msg} at line {error.lineno}.") from None
        if not isinstance(decoded, list):
            return [asked_of_json(decoded)], False
        most = self._parts.options.max_batch
        if not 1 <= len(decoded) <= most or most == 1:
            said = f"A batch may have 1 to {most} operations." if most > 1 else "There are no batches here."
            raise DocumentTooComplex(said)
        batch = [asked_of_json(one) for one in decoded]
        check_values(one.variables for one in batch)
        return batch, True

    def _context(
        self,
        caller: Caller,
        credentials: Credentials,
        scope: Scope,
        receive: Receive,
        response: "_Response",
        at: int = 0,
    ) -> Context:
        return Context(
            parts=self._parts,
            caller=caller,
            credentials=credentials,
            request_id=response.request_id if at == 0 else self._parts.ids.new("req"),
            client=HttpClient(self._hang_ups, receive),
            trace=response.trace,
            for_operators=self._parts.for_operators(scope),
            peer=peer_of(scope),
        )

    def _prepared(
        self, asked: Sequence[Asked], contexts: Sequence[Context], scope: Scope, *, batch: bool
    ) -> list[Prepared | Refused]:
        """What may be executed, in order. Raises what refuses the whole request."""
        prepared: list[Prepared | Refused] = []
        for one, context in zip(asked, contexts, strict=True):
            try:
                ready = self._engine.prepare(one, request_id=context.request_id)
            except Refused as refused:
                prepared.append(refused)
                continue
            _check_kind(ready, method=scope["method"])
            prepared.append(ready)
        cost = sum(one.cost for one in prepared if isinstance(one, Prepared))
        if cost > (most := self._parts.options.max_cost):
            raise DocumentTooComplex(f"The operations cost {cost} together, more than the {most} that a request may.")
        return prepared

    async def _result(self, prepared: Prepared | Refused, context: Context) -> dict[str, Any]:
        if isinstance(prepared, Refused):
            return {"errors": prepared.errors}
        return await self._engine.execute(prepared, context)

    # -- events

    async def _send_events(
        self,
        asked: Sequence[Asked],
        batch: bool,  # noqa: FBT001
        caller: Caller,
        credentials: Credentials,
        scope: Scope,
        receive: Receive,
        response: "_Response",
        task: "asyncio.Task[None]",
    ) -> None:
        """One operation's results as server-sent events, until they end or the client leaves."""
        if batch:
            raise InvalidValue("A batch is answered as JSON, not as events.", param="Accept")
        if scope["method"] == "GET":
            raise MethodNotAllowed("Events are asked for by POST.", allowed=("POST",))
        context = self._context(caller, credentials, scope, receive, response)
        operation = Operation(self._serving)
        operation.caller_id = caller.key_id
        context.client = operation
        outlet = EventOutlet(response.sender, headers=response.headers((b"cache-control", b"no-store")))
        running = self._parts.calls.tasks.spawn(
            operation.run(self._engine, asked[0], context, outlet), name="a GraphQL operation"
        )
        operation.begin(running)
        self._serving.end(task)  # from now on a shutdown deals with the operation
        response.begun = True
        with self._operations.running(operation):
            await outlet.follow(operation, running, receive, keep_alive_s=self._parts.server.keep_alive_s)


class _Response:
    """What is sent back for one request."""

    def __init__(self, parts: GraphqlParts, scope: Scope, send: Send, *, request_id: str) -> None:
        self.request_id = request_id
        self.media_type = RESPONSE
        self.trace = NO_TRACE
        self.begun = False
        self.sender = send
        self._parts = parts
        self._scope = scope

    def headers(self, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """Those of every response, and more."""
        return [(b"x-request-id", self.request_id.encode()), *self._parts.fixed_headers, *more]

    def status_of(self, result: dict[str, Any], prepared: Prepared | Refused) -> int:
        """Of a response that is GraphQL's: what was not executed is the client's fault in the media type of GraphQL."""
        if "data" in result or self.media_type == JSON:
            return 200
        return spoken(prepared.error).status if isinstance(prepared, Refused) else 400

    async def send(self, result: object, *, status: int, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """The whole response."""
        body = orjson.dumps(result)
        kind = JSON if self.media_type == EVENTS else self.media_type
        headers = self.headers(
            (b"content-type", f"{kind}; charset=utf-8".encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *more,
        )
        await respond(self._scope, self.sender, status=status, head=header_block(headers), body=body)

    async def refuse(self, error: LLMServiceError, *, unread: Receive | None = None) -> None:
        """An error that comes before any operation. ``unread``: the rest of the body is not wanted."""
        if self.begun:
            return  # its last event has told it
        status = spoken(error).status
        if isinstance(error, NotAcceptable):
            status = NOT_ACCEPTABLE
        elif isinstance(error, WrongMediaType):
            status = UNSUPPORTED
        errors: list[Told] = [told(error, request_id=self.request_id)]
        if unread is None:
            await self.send({"errors": errors}, status=status, more=error_headers(error))
            return
        body = orjson.dumps({"errors": errors})
        headers = self.headers((b"content-type", JSON.encode()), (b"content-length", b"%d" % len(body)))
        headers.append((b"connection", b"close"))
        await self.sender({"type": "http.response.start", "status": status, "headers": headers})
        await self.sender({"type": "http.response.body", "body": body, "more_body": True})
        await let_pass(self._scope, unread)
        await self.sender({"type": "http.response.body", "body": b""})


def _check_kind(prepared: Prepared, *, method: str) -> None:
    kind = prepared.kind.value
    if kind == "subscription":
        said = "A subscription needs 'Accept: text/event-stream' in a POST, or a WebSocket (graphql-transport-ws)."
        raise InvalidValue(said, param="query")
    if kind == "mutation" and method == "GET":
        raise MethodNotAllowed("Mutations are asked for by POST.", allowed=("POST",))


def _is_json(headers: Headers) -> bool:
    content_type, _, parameters = headers.get(b"content-type", b"").partition(b";")
    charset = parameters.strip().lower()
    return content_type.strip().lower() == b"application/json" and charset in (
        b"",
        b"charset=utf-8",
        b'charset="utf-8"',
    )


def _query_of(scope: Scope) -> dict[str, Any]:
    """What stands in the address. Raises InvalidValue."""
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=16
        )
    except (UnicodeDecodeError, ValueError):
        raise InvalidValue("The query of the address cannot be read.", param="query") from None
    given: dict[str, Any] = {}
    for name, text in pairs:
        if name not in IN_QUERY or name in given:
            raise InvalidValue(f"'{name[:64]}' is unknown in the address, or comes twice.", param=name[:64])
        if name not in JSON_IN_QUERY:
            given[name] = text
            continue
        try:
            given[name] = orjson.loads(text) if text else None
        except orjson.JSONDecodeError:
            raise InvalidValue(f"'{name}' must be JSON.", param=name) from None
    return given
