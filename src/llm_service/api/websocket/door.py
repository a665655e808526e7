"""``/v1/ws``: who may open a WebSocket, how many of them, and what becomes of them when a key is revoked."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

from llm_service.api.http_request import Receive, Scope, Send, credentials_of, headers_of
from llm_service.api.websocket.close_codes import (
    ABUSE,
    AUTH_TOO_LATE,
    NOT_AUTHENTICATED,
    NOT_UNDERSTOOD,
    ORIGIN_REFUSED,
    RESTARTING,
    TRY_LATER,
)
from llm_service.api.websocket.frames import failed
from llm_service.api.websocket.socket import Socket, SocketParts, caller_for, code_for, key_in, understood
from llm_service.api.websocket.sockets import HeaderList
from llm_service.api.websocket.wire import Wire, wire_of
from llm_service.domain import (
    Caller,
    ConcurrencyLimited,
    Credentials,
    InvalidApiKey,
    InvalidRequest,
    LLMServiceError,
    NotLocal,
)

SUBPROTOCOL: Final = "llm-service.v1"
AUTH_S: Final = 5.0
AUTH_BYTES: Final = 8 * 1024
UNKNOWN_SOCKETS: Final = 1000
"""So many clients may be asked for their key at once; each can have the service keep little before it shows one."""


class _ClosedError(Exception):
    """The socket is not to be served; it has been told why."""


class SocketDoor:
    """Accepts every handshake, since browsers can read nothing but the code with which a socket closes."""

    def __init__(self, parts: SocketParts, *, fixed_headers: HeaderList = ()) -> None:
        self._parts = parts
        self._calls = parts.answering.calls
        self._authenticator = parts.authenticator
        self._log = parts.answering.log
        self._fixed_headers = fixed_headers
        self._open: dict[str, set[Socket]] = {}  # by the id of the key
        self._unknown = 0  # clients that are asked for their key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket, from its handshake to its end."""
        await receive()
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
        wire = wire_of(scope)
        wire.hold()
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": [*self._fixed_headers]})
        try:
            credentials = self._credentials(scope, wire)
            socket = await self._entered(credentials, wire, receive)
        except _ClosedError:
            return
        try:
            await socket.serve(receive)
        finally:
            self._leave(socket)

    # -- who comes in

    def _credentials(self, scope: Scope, wire: Wire) -> Credentials:
        try:
            credentials = credentials_of(scope, headers_of(scope))
        except InvalidRequest as error:
            raise self._refused(wire, error, NOT_AUTHENTICATED) from None
        if not self._authenticator.admits_origin(credentials):
            foreign = NotLocal("Pages of this origin may not connect: name it in server.allowed_origins.")
            raise self._refused(wire, foreign, ORIGIN_REFUSED)
        if self._calls.serving.draining is not None:
            raise self._refused(wire, self._calls.serving.draining.again(), RESTARTING)
        return credentials

    async def _entered(self, credentials: Credentials, wire: Wire, receive: Receive) -> Socket:
        """The socket of an authenticated client."""
        try:
            caller = await caller_for(self._authenticator, credentials)
        except (InvalidApiKey, NotLocal) as error:
            if credentials.key is not None:
                raise self._refused(wire, error, NOT_AUTHENTICATED) from None
            credentials, caller = await self._introduced(credentials, wire, receive, error)
        except LLMServiceError as error:
            raise self._refused(wire, error, code_for(error)) from None
        socket = Socket(self._parts, wire, credentials, caller, rekeyed=self._rekeyed)
        self._enter(socket, wire)
        wire.hear()
        return socket

    async def _introduced(
        self, credentials: Credentials, wire: Wire, receive: Receive, required: LLMServiceError
    ) -> tuple[Credentials, Caller]:
        """Who a client is that has to say so first; ``required``: why nothing but a key will do."""
        if self._unknown >= UNKNOWN_SOCKETS:
            said = f"{UNKNOWN_SOCKETS} clients are being asked for their keys, as many as may be; try again."
            raise self._refused(wire, ConcurrencyLimited(said, retry_after_s=1.0), TRY_LATER)
        self._unknown += 1
        try:
            credentials = replace(credentials, key=await self._key(receive, wire, required))
            return credentials, await caller_for(self._authenticator, credentials)
        except LLMServiceError as refusal:
            raise self._refused(wire, refusal, code_for(refusal)) from None
        finally:
            self._unknown -= 1

    async def _key(self, receive: Receive, wire: Wire, required: LLMServiceError) -> str:
        """The key of an ``auth`` frame."""
        wire.hear(first_bytes=AUTH_BYTES)
        try:
            async with asyncio.timeout(AUTH_S):
                message = await receive()
        except TimeoutError:
            wire.close(AUTH_TOO_LATE, f"No key came within {AUTH_S:.0f} s.")
            raise _ClosedError from None
        if message["type"] == "websocket.disconnect":
            raise _ClosedError
        frame = understood(message.get("text"))
        if frame is None:
            wire.close(NOT_UNDERSTOOD, "A frame must be a JSON object with a type, as text.")
            raise _ClosedError
        if frame["type"] != "auth":
            raise self._refused(wire, required, NOT_AUTHENTICATED)
        try:
            return key_in(frame)
        except InvalidApiKey as error:
            raise self._refused(wire, error, NOT_AUTHENTICATED) from None

    def _refused(self, wire: Wire, error: LLMServiceError, code: int) -> _ClosedError:
        """Say why, and close with the code."""
        request_id = self._parts.answering.ids.new("req")
        self._calls.refused(error, request_id=request_id, surface="websocket", begun_at=self._calls.clock.monotonic())
        wire.write(failed(error, request_id=request_id))
        wire.close(code, error.code)
        return _ClosedError()

    # -- how many there are

    def _enter(self, socket: Socket, wire: Wire) -> None:
        most = self._parts.options.max_sockets_per_key
        if len(self._open.get(socket.caller.key_id, ())) >= most:
            said = f"This key has {most} sockets open here, as many as may be (websocket.max_sockets_per_key)."
            raise self._refused(wire, ConcurrencyLimited(said, retry_after_s=1.0), ABUSE)
        if not self._open:
            self._authenticator.on_revoked(self._revoke)
        self._open.setdefault(socket.caller.key_id, set()).add(socket)

    def _leave(self, socket: Socket) -> None:
        open_ = self._open.get(socket.caller.key_id, set())
        if socket not in open_:
            return
        open_.remove(socket)
        if not open_:
            del self._open[socket.caller.key_id]
        if not self._open:
            self._authenticator.off_revoked(self._revoke)

    def _rekeyed(self, socket: Socket, wire: Wire, caller: Caller) -> None:
        """A client that needed no key has shown one all the same."""
        if socket not in self._open.get(socket.caller.key_id, ()):
            return  # it has left meanwhile
        self._leave(socket)
        socket.caller = caller
        with suppress(_ClosedError):
            self._enter(socket, wire)

    def _revoke(self, key_id: str) -> None:
        for socket in tuple(self._open.get(key_id, ())):
            try:
                socket.revoke()
            except Exception as defect:  # noqa: BLE001 - whatever it is, the key's other sockets end
                self._log.error("a socket was not revoked", key_id=key_id, exc_info=defect)
