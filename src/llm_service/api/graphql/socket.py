"""GraphQL over a WebSocket: the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import orjson

from llm_service.api.errors import spoken
from llm_service.api.graphql.context import Context
from llm_service.api.graphql.documents import asked_of_json
from llm_service.api.graphql.engine import Engine
from llm_service.api.graphql.failures import Told, told
from llm_service.api.graphql.operation import Operation
from llm_service.api.graphql.parts import GraphqlParts
from llm_service.api.graphql.revocation import Operations
from llm_service.api.http_request import Receive, Scope, Send, credentials_of, headers_of, peer_of
from llm_service.api.websocket.sockets import deny
from llm_service.api.websocket.wire import wire_of
from llm_service.domain import (
    Caller,
    Credentials,
    DocumentTooComplex,
    Draining,
    InvalidApiKey,
    LLMServiceError,
    NotLocal,
)

PROTOCOL: Final = "graphql-transport-ws"
SPOKEN: Final = ((b"Sec-WebSocket-Protocol", PROTOCOL.encode()),)
"""With capitals: gql for Python (4.4) finds the header by them alone, and else speaks the old protocol."""
INIT_WAIT_S: Final = 5.0
INIT_BYTES: Final = 8 * 1024
"""What a message of a client may have that is not known yet: as little is kept of it."""
MAX_ID_CHARS: Final = 256
INVALID, UNAUTHORIZED, FORBIDDEN, NOT_ACCEPTABLE, INIT_TIMEOUT = 4400, 4401, 4403, 4406, 4408
TAKEN, TOO_MANY_INITS, FAILED, RESTARTING, LATER = 4409, 4429, 4500, 1012, 1013
KEY_NAMES: Final = ("authorization", "x-api-key", "key", "apikey")


class Closed(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class GraphqlSocket:
    """One client's socket, from the handshake to the close."""

    def __init__(self, parts: GraphqlParts, engine: Engine, operations: Operations, scope: Scope, send: Send) -> None:
        self._parts = parts
        self._engine = engine
        self._all = operations
        self._scope = scope
        self._send = send
        self._wire = wire_of(scope)
        self._serving = parts.calls.serving
        self._credentials: Credentials | None = None
        self._running: dict[str, Operation] = {}
        self._tasks = 0  # of operations, those included that the client has let go of and which have not ended
        self._said_hello = False
        self._acknowledged = False
        self._retired = False
        self._closing = False

    async def serve(self, receive: Receive) -> None:
        """Until it is closed, by either side."""
        self._wire.hold()
        await receive()  # the handshake
        if not await self._accepted():
            return
        self._wire.hear(first_bytes=INIT_BYTES)
        patience = self._parts.calls.clock.call_later(INIT_WAIT_S, self._mind_hello)
        self._serving.stands(self._retire)
        try:
            if self._serving.retired:  # while its handshake was answered, or the door built
                self._retire()
            while (message := await receive())["type"] != "websocket.disconnect":
                await self._take(message.get("text"))
                if not self._acknowledged:
                    self._wire.hear(first_bytes=INIT_BYTES)
        except Closed as closed:
            await self._close(closed.code, closed.reason)
        finally:
            patience.cancel()
            self._serving.fell(self._retire)
            self._closing = True
            await self._leave_all()

    async def _accepted(self) -> bool:
        """Answer the handshake: pages of other origins are refused, and other protocols closed."""
        try:
            self._credentials = credentials = credentials_of(self._scope, headers_of(self._scope))
            if self._serving.draining is not None:
                raise self._serving.draining.again()
            if not self._parts.authenticator.admits_origin(credentials):
                raise NotLocal("Pages of other origins may not ask: name yours in server.allowed_origins.")
        except LLMServiceError as error:
            await deny(self._send, error, request_id=self._parts.ids.new("req"), headers=self._parts.fixed_headers)
            return False
        speaks = PROTOCOL in self._scope.get("subprotocols", ())
        await self._send({"type": "websocket.accept", "headers": SPOKEN if speaks else ()})
        if not speaks:
            await self._close(NOT_ACCEPTABLE, f"Only the subprotocol {PROTOCOL} is spoken here.")
        return speaks

    # -- messages

    async def _take(self, text: str | None) -> None:
        message = _message(text)
        match message["type"]:
            case "connection_init":
                await self._begin(message.get("payload"))
            case "ping":
                await self._tell({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                if (operation := self._running.pop(str(message.get("id")), None)) is not None:
                    operation.leave()
                    self._close_if_retired()
            case _:
                raise Closed(INVALID, "There is no message of this type.")

    async def _begin(self, payload: object) -> None:
        if self._said_hello:
            raise Closed(TOO_MANY_INITS, "Too many initialisation requests.")
        self._said_hello = True
        if payload is not None and not isinstance(payload, dict):
            raise Closed(INVALID, "The payload of connection_init must be an object.")
        if self._credentials is not None and (key := _key_in(payload or {})) is not None:
            self._credentials = replace(self._credentials, key=key)
        try:
            await self._caller()
        except LLMServiceError as error:
            raise Closed(close_code(error), _short(error.message)) from None
        self._acknowledged = True
        self._wire.hear()
        await self._tell({"type": "connection_ack"})

    async def _caller(self) -> tuple[Caller, Credentials]:
        """Whoever asks now, and by what: a key may have been revoked since. Raises as the authenticator does."""
        credentials = self._credentials
        if credentials is None:
            raise InvalidApiKey("There was no handshake.")
        caller = self._parts.authenticator.authenticate(credentials)
        return caller if isinstance(caller, Caller) else await caller, credentials

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        if not self._acknowledged:
            raise Closed(UNAUTHORIZED, "Unauthorized: nothing may be asked before connection_init is acknowledged.")
        name = message.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_ID_CHARS:
            raise Closed(INVALID, "An operation needs an 'id': a text of at most 256 characters.")
        if name in self._running:
            raise Closed(TAKEN, _short(f"Subscriber for {name} already exists"))
        request_id = self._parts.ids.new("req")
        if (refusal := self._refusal()) is not None:
            await self._tell(_error(name, [told(refusal, request_id=request_id)]))
            return
        operation = self._running[name] = Operation(self._serving)
        self._tasks += 1
        work = self._run(operation, _Outlet(self, name, operation), message.get("payload"), request_id)
        task = self._parts.calls.tasks.spawn(work, name="a GraphQL operation")
        task.add_done_callback(self._ended)
        operation.begin(task)

    def _refusal(self) -> LLMServiceError | None:
        """Why nothing more is begun."""
        if self._serving.draining is not None:
            return self._serving.draining.again()
        if self._retired:  # else operations that overlap would keep former settings, and former keys, in force for ever
            return Draining("The service has new settings; ask over a new socket.", retry_after_s=1.0)
        most = self._parts.options.max_subscriptions_per_socket
        if len(self._running) >= most or self._tasks >= 2 * most:
            return DocumentTooComplex(f"At most {most} operations may run on one socket, and as many end.")
        return None

    async def _run(self, operation: Operation, outlet: "_Outlet", payload: object, request_id: str) -> None:
        try:
            with self._all.running(operation), suppress(OSError):  # the client may be gone
                await self._execute(operation, outlet, payload, request_id)
        finally:
            self.forget(outlet.name, operation)
            self._close_if_retired()

    def _ended(self, _: "asyncio.Task[None]") -> None:
        self._tasks -= 1

    async def _execute(self, operation: Operation, outlet: "_Outlet", payload: object, request_id: str) -> None:
        try:
            caller, credentials = await self._caller()
            asked = asked_of_json(payload)
        except LLMServiceError as error:
            await outlet.failed([told(error, request_id=request_id)])
            return
        operation.caller_id = caller.key_id
        context = Context(
            parts=self._parts,
            caller=caller,
            credentials=credentials,
            request_id=request_id,
            client=operation,
            for_operators=self._parts.for_operators(self._scope),
            peer=peer_of(self._scope),
        )
        await operation.run(self._engine, asked, context, outlet)

    # -- out

    def forget(self, name: str, operation: Operation) -> bool:
        """The operation is over, and its name may be given to another; whether it had not been let go of before."""
        current = self._running.get(name) is operation
        if current:
            del self._running[name]
        return current

    async def tell_of(self, name: str, operation: Operation, message: dict[str, Any]) -> None:
        """A result of an operation, unless the client has let go of it."""
        if self._running.get(name) is operation:
            await self._tell(message)

    async def tell_end(self, name: str, operation: Operation, message: dict[str, Any]) -> None:
        """The last message of an operation."""
        if self.forget(name, operation):
            await self._tell(message)

    async def _tell(self, message: dict[str, Any]) -> None:
        if not self._closing:
            await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})

    # -- the end

    def _mind_hello(self) -> None:
        if not self._said_hello:
            self._close_soon(INIT_TIMEOUT, "Connection initialisation timeout")

    def _retire(self) -> None:
        """End when nothing runs any more: other settings answer from now on, or nobody does."""
        self._retired = True
        self._close_if_retired()

    def _close_if_retired(self) -> None:
        if self._retired and not self._running:
            self._close_soon(RESTARTING, "The service goes on elsewhere: connect again.")

    def _close_soon(self, code: int, reason: str) -> None:
        if not self._closing:
            self._parts.calls.tasks.spawn(self._close(code, reason), name="close a GraphQL socket")

    async def _close(self, code: int, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        with suppress(OSError):  # the client was quicker
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _leave_all(self) -> None:
        operations = tuple(self._running.values())
        for operation in operations:
            operation.leave()
        for operation in operations:
            await operation.ended()


class _Outlet:
    """Where the results of one operation on a socket go."""

    def __init__(self, socket: GraphqlSocket, name: str, operation: Operation) -> None:
        self.name = name
        self._socket = socket
        self._operation = operation

    async def next(self, result: dict[str, Any]) -> None:
        """One result."""
        message = {"id": self.name, "type": "next", "payload": result}
        await self._socket.tell_of(self.name, self._operation, message)

    async def failed(self, errors: Sequence[Told]) -> None:
        """It ends with errors; nothing follows."""
        await self._socket.tell_end(self.name, self._operation, _error(self.name, errors))

    async def complete(self) -> None:
        """It ends."""
        await self._socket.tell_end(self.name, self._operation, {"id": self.name, "type": "complete"})


def _error(name: str, errors: Sequence[Told]) -> dict[str, Any]:
    return {"id": name, "type": "error", "payload": errors}


def close_code(error: LLMServiceError) -> int:
    """The code that a socket is closed with for an error of its ``connection_init``."""
    match spoken(error).status:
        case 401:
            return UNAUTHORIZED
        case 403:
            return FORBIDDEN
        case 503:
            return LATER
        case _:
            return INVALID if error.fault == "caller" else FAILED


def _message(text: str | None) -> dict[str, Any]:
    if text is None:
        raise Closed(INVALID, "Messages are text.")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Closed(INVALID, "Messages are JSON.") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Closed(INVALID, "Messages are objects with a 'type'.")
    return message


def _key_in(payload: Mapping[str, Any]) -> str | None:
    """The key in what ``connection_init`` brings: as headers have it, or as ``key``."""
    said = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    for name in KEY_NAMES:
        if name in said and (key := said[name].strip()):
            scheme, _, rest = key.partition(" ")
            return rest.strip() if scheme.lower() == "bearer" and rest.strip() else key
    return None


def _short(reason: str) -> str:
    """At most 123 bytes (RFC 6455 section 5.5)."""
    return reason.encode()[:120].decode(errors="ignore")
