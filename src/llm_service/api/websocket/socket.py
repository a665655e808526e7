"""One open WebSocket: what its client's frames ask for, and the generations that run over it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import orjson

from llm_service.api.http_request import Receive
from llm_service.api.options import WebSocketOptions
from llm_service.api.websocket.abuse import Patience
from llm_service.api.websocket.answering import Answering, AnsweringParts, Authenticate
from llm_service.api.websocket.asked import MAX_ID_CHARS, credit_in, id_in
from llm_service.api.websocket.close_codes import ABUSE, NOT_AUTHENTICATED, NOT_UNDERSTOOD, RESTARTING, TRY_LATER
from llm_service.api.websocket.frames import PONG, failed
from llm_service.api.websocket.wire import Wire
from llm_service.domain import (
    Body,
    Caller,
    ConcurrencyLimited,
    Credentials,
    Draining,
    InvalidApiKey,
    InvalidRequest,
    IssuerUnavailable,
    KeyRevoked,
    LedgerUnavailable,
    LLMServiceError,
    fact,
    require_scope,
)
from llm_service.services import Authenticator

WAITING_BYTES: Final = 256 * 1024
"""What may wait for a client that does not read, before nothing more is taken from it either."""
MAX_TYPE_CHARS: Final = 64


@fact
class SocketParts:
    """What all sockets of the door share."""

    answering: AnsweringParts
    authenticator: Authenticator
    options: WebSocketOptions


Rekeyed = Callable[["Socket", Wire, Caller], None]


class Socket:
    """An authenticated client's. ``caller`` is who opened it; each request is authenticated anew."""

    def __init__(
        self, parts: SocketParts, wire: Wire, credentials: Credentials, caller: Caller, *, rekeyed: Rekeyed
    ) -> None:
        """``rekeyed`` is told of a client that needed no key and has shown one all the same."""
        self.caller = caller
        self._rekeyed = rekeyed
        self._begun = False
        self._parts = parts
        self._calls = parts.answering.calls
        self._wire = wire
        self._credentials = credentials
        self._answering: dict[str, Answering] = {}
        self._patience = Patience()
        self._retiring = False
        self._writable: asyncio.Event | None = None
        wire.on_flow = self._flow

    async def serve(self, receive: Receive) -> None:
        """Until the client is gone or the socket closed."""
        self._calls.serving.stands(self.retire)
        try:
            if self._calls.serving.retired:  # while the client was asked for its key
                self.retire()
            while (message := await receive())["type"] != "websocket.disconnect":
                self._take(message.get("text"))
                if self._wire.waiting_bytes > WAITING_BYTES:
                    await self._until_read()
        finally:
            self._calls.serving.fell(self.retire)
            for answering in tuple(self._answering.values()):
                answering.leave()

    # -- what others say

    def retire(self) -> None:
        """Take nothing new, and close when nothing runs any more."""
        self._retiring = True
        self._close_if_idle()

    def revoke(self) -> None:
        """The key was revoked: whatever runs ends, and the socket with it."""
        error = KeyRevoked("The api key was revoked.")
        for answering in tuple(self._answering.values()):
            answering.revoke(error.again())
        self._wire.close(NOT_AUTHENTICATED, "The api key was revoked.")

    def _flow(self) -> None:
        if self._writable is not None and not self._wire.full:
            self._writable.set()
        for answering in tuple(self._answering.values()):
            answering.flow()

    async def _until_read(self) -> None:
        """What the client asks for is not read either while so much waits for it."""
        while self._wire.full:
            self._writable = asyncio.Event()
            await self._writable.wait()
        self._writable = None

    def _close_if_idle(self) -> None:
        if self._retiring and not self._answering:
            self._wire.close(RESTARTING, "The service restarts, or has new settings: connect again.")

    # -- frames

    def _take(self, text: str | None) -> None:
        """Act on one frame."""
        frame = understood(text)
        if frame is None or text is None:
            self._wire.close(NOT_UNDERSTOOD, "A frame must be a JSON object with a type, as text.")
            return
        kind, first = frame["type"], not self._begun
        self._begun = True
        match kind:
            case "chat.create":
                size = len(text) if text.isascii() else len(text.encode())
                self._begin(frame, lambda one, authenticate: one.create(frame, size, authenticate))
            case "chat.resume":
                self._begin(frame, lambda one, authenticate: one.resume(frame, authenticate))
            case "chat.cancel":
                self._cancel(frame)
            case "chat.credit":
                self._credit(frame)
            case "ping":
                self._count_frame()
                self._wire.write(PONG)
            case "auth" if first and self._credentials.key is None:
                self._auth(frame)
            case "auth":
                self._mistake(InvalidRequest("'auth' comes once, as the first frame."), name=None)
            case _:
                known = "chat.create, chat.resume, chat.cancel, chat.credit, ping"
                said = f"There is no frame of type '{kind[:MAX_TYPE_CHARS]}'; there are {known}."
                self._mistake(InvalidRequest(said, param="type"), name=self._name_of(frame))

    def _auth(self, frame: Body) -> None:
        """From now on the client has a key."""
        try:
            self._credentials = replace(self._credentials, key=key_in(frame))
        except InvalidApiKey as error:
            self._leave_unknown(error)
        else:
            self._calls.tasks.spawn(self._rekey(), name="authenticate over a WebSocket")

    async def _rekey(self) -> None:
        try:
            caller = await caller_for(self._parts.authenticator, self._credentials)
        except LLMServiceError as error:
            self._leave_unknown(error)
        else:
            self._rekeyed(self, self._wire, caller)

    def _leave_unknown(self, error: LLMServiceError) -> None:
        self._refuse(error, name=None)
        self._wire.close(code_for(error), error.code)

    def _begin(self, frame: Body, answer: Callable[[Answering, Authenticate], Any]) -> None:
        try:
            name = id_in(frame)
            if name in self._answering:
                raise InvalidRequest(f"The id '{name}' is in use: a generation runs under it.", param="id")
        except LLMServiceError as error:
            self._mistake(error, name=self._name_of(frame))
            return
        try:
            self._check_room()
        except LLMServiceError as error:
            self._refuse(error, name=name)
            return
        authenticate = partial(self._parts.authenticator.authenticate, self._credentials)
        answering = self._answering[name] = Answering(name, self._parts.answering, self._wire, on_end=self._free)
        task = self._calls.tasks.spawn(answer(answering, authenticate), name="answer over a WebSocket")
        task.add_done_callback(lambda _: self._ended(answering))

    def _check_room(self) -> None:
        if self._calls.serving.draining is not None:
            raise self._calls.serving.draining.again()
        if self._retiring:
            raise Draining("The service has new settings; send the request over a new socket.", retry_after_s=1.0)
        most = self._parts.options.max_generations_per_socket
        if len(self._answering) >= most:
            said = f"{most} generations run over this socket, as many as may (websocket.max_generations_per_socket)."
            raise ConcurrencyLimited(said, retry_after_s=1.0)

    def _free(self, answering: Answering) -> None:
        """Its last frame is written: from now on its id may be that of another."""
        if self._answering.get(answering.name) is answering:
            del self._answering[answering.name]
            self._close_if_idle()

    def _ended(self, answering: Answering) -> None:
        refusal = answering.refusal
        if isinstance(refusal, InvalidApiKey):
            self._wire.close(NOT_AUTHENTICATED, "The key is not valid any more.")
        elif isinstance(refusal, InvalidRequest):
            self._count_mistake()
        elif refusal is not None:
            self._count_frame()
        self._free(answering)

    def _cancel(self, frame: Body) -> None:
        answering = self._named(frame)
        if answering is not None and not answering.cancel():
            self._count_frame()

    def _credit(self, frame: Body) -> None:
        answering = self._named(frame)
        if answering is None:
            return
        try:
            needless = answering.add_credit(credit_in(frame))
        except LLMServiceError as error:
            self._mistake(error, name=None)
        else:
            if needless:
                self._count_frame()

    def _named(self, frame: Body) -> Answering | None:
        """The generation that is meant; none when it has ended, which its client may not know yet."""
        try:
            answering = self._answering.get(id_in(frame))
        except LLMServiceError as error:
            self._mistake(error, name=self._name_of(frame))
            return None
        if answering is None:
            self._count_frame()
        return answering

    # -- what is refused

    def _name_of(self, frame: Body) -> str | None:
        """The id of a frame that is refused, where that can be told from the last frame of a generation."""
        name = name_in(frame)
        return None if name in self._answering else name

    def _refuse(self, error: LLMServiceError, *, name: str | None) -> None:
        parts, now = self._parts.answering, self._calls.clock.monotonic()
        request_id = parts.ids.new("req")
        self._calls.refused(error, request_id=request_id, surface="websocket", begun_at=now)
        self._wire.write(failed(error, request_id=request_id, name=name))
        self._count_frame()

    def _mistake(self, error: LLMServiceError, *, name: str | None) -> None:
        self._refuse(error, name=name)
        self._count_mistake()

    def _count_mistake(self) -> None:
        if self._patience.ends_with_mistake(self._calls.clock.monotonic()):
            self._wire.close(ABUSE, "Too many frames had to be refused.")

    def _count_frame(self) -> None:
        if self._patience.ends_with_frame(self._calls.clock.monotonic()):
            self._wire.close(ABUSE, "Too many frames that ask for nothing.")


def understood(text: str | None) -> Body | None:
    """A frame: a JSON object with a ``type``, as text; ``None`` for anything else."""
    if text is None:
        return None
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return frame if type(frame) is dict and isinstance(frame.get("type"), str) else None


def name_in(frame: Body) -> str | None:
    """The id of a frame that is refused, as far as it has one that can be repeated."""
    name = frame.get("id")
    return name if isinstance(name, str) and len(name) <= MAX_ID_CHARS else None


def key_in(frame: Body) -> str:
    """The key of an ``auth`` frame. Raises InvalidApiKey."""
    key = frame.get("key")
    if not isinstance(key, str) or not key:
        raise InvalidApiKey("'key' must be a key, as text.")
    return key


def code_for(error: LLMServiceError) -> int:
    """The code with which a socket closes whose client cannot be authenticated."""
    return TRY_LATER if isinstance(error, LedgerUnavailable | IssuerUnavailable) else NOT_AUTHENTICATED


async def caller_for(authenticator: Authenticator, credentials: Credentials) -> Caller:
    """Who may send requests by these credentials. Raises what the authenticator does, and ScopeMissing."""
    caller = authenticator.authenticate(credentials)
    if not isinstance(caller, Caller):
        caller = await caller
    require_scope(caller, "inference")
    return caller
