"""A wire over the WebSocket of any ASGI server: what our own connection does by itself, with ASGI's messages."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from llm_service.api.http_request import Message, Receive, Scope, Send
from llm_service.api.websocket.close_codes import ABNORMAL, TOO_BIG, End
from llm_service.api.websocket.wire import MAX_MESSAGE_BYTES

HIGH_BYTES: Final = 64 * 1024
LOW_BYTES: Final = 16 * 1024
"""What waits here besides what the server keeps: above the one the wire is full, until there is less than the other."""
CLOSE_S: Final = 5.0
DENIAL: Final = "websocket.http.response"
PROTOCOL: Final = b"sec-websocket-protocol"


class GoneError(ConnectionError):
    """The client has left: nothing can be sent to it."""


class AsgiWire:
    """See :class:`Wire`. The application gets ``receive`` and ``send`` of this object in place of the server's.

    The server knows of pings, of slow messages and of unfinished frames; a message is measured here when it is whole.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.on_flow: Callable[[], None] = _nothing
        self.full = False
        self._can_deny = DENIAL in scope.get("extensions", {})
        self._server_receive = receive
        self._server_send = send
        self._waiting: deque[tuple[Message, int]] = deque()
        self._waiting_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._incoming: asyncio.Future[Message] | None = None
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._heard = asyncio.Event()
        self._heard.set()
        self._room = asyncio.Event()
        self._room.set()
        self._first_bytes: int | None = None
        self._begun = False  # the server has told of the handshake
        self._open = False

    # -- in

    def hold(self) -> None:
        """Take nothing of what the client sends until ``hear``."""
        if not self._end.done():
            self._heard.clear()

    def hear(self, *, first_bytes: int | None = None) -> None:
        """Take it; with ``first_bytes`` one message of that size, and nothing behind it until then."""
        self._first_bytes = first_bytes
        self._heard.set()

    def mind_silence(self, ping_s: float) -> None:
        """The server asks its clients whether they are there, as often as it was told."""

    async def receive(self) -> Message:
        """The next message. ASGI's ``receive``; one caller at a time."""
        if self._begun:
            await self._heard.wait()
        message = await self._next()
        self._begun = True
        if message["type"] == "websocket.disconnect":
            self._finish(End(message.get("code", ABNORMAL), message.get("reason") or ""))
        elif message["type"] == "websocket.receive":
            most = self.max_message_bytes if self._first_bytes is None else self._first_bytes
            if _size(message) > most:
                self.close(TOO_BIG, f"A message may have at most {most} bytes.")
                return await self._next()
            if self._first_bytes is not None:
                self.hold()
        return message

    async def _next(self) -> Message:
        """What the server has, unless it is over before."""
        if not self._end.done():
            self._incoming = self._incoming or asyncio.ensure_future(_of(self._server_receive))
            either: set[asyncio.Future[Any]] = {self._incoming, self._end}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._incoming.done():
                incoming, self._incoming = self._incoming, None
                return incoming.result()
        end = self._end.result()
        return {"type": "websocket.disconnect", "code": end.code, "reason": end.reason}

    # -- out

    @property
    def waiting_bytes(self) -> int:
        """What waits in memory for the client."""
        return self._waiting_bytes

    def write(self, frames: bytes) -> None:
        """Send whole frames; nothing happens when the socket is closed."""
        if self._open and not self._end.done():
            for message in messages_in(frames):
                self._put(message, _size(message))

    async def send(self, message: Message) -> None:
        """ASGI's ``send``; it waits for a client that is slow. Raises GoneError."""
        kind = message["type"]
        if kind == "websocket.close" and self._open:
            self.close(message.get("code", 1000), message.get("reason") or "")
        elif kind == "websocket.send":
            await self._room.wait()
            if self._end.done():
                raise GoneError
            self._put(message, _size(message))
        elif kind == "websocket.accept":
            self._open = True
            await self._server_send(_accepting(message))
        elif self._can_deny or not kind.startswith(DENIAL):
            await self._server_send(message)
        elif kind == f"{DENIAL}.start":  # a server that cannot say why
            await self._server_send({"type": "websocket.close"})

    def close(self, code: int, reason: str) -> None:
        """Send a close behind what waits; idempotent."""
        if self._end.done() or not self._open:
            return
        self._put({"type": "websocket.close", "code": code, "reason": reason}, 0)
        self._finish(End(code, reason))

    async def aclose(self) -> None:
        """The application has ended: so does the socket. What still waits has a moment to go out."""
        self.close(1000, "")
        if self._incoming is not None:
            self._incoming.cancel()
        if self._writing is not None:
            done, _ = await asyncio.wait({self._writing}, timeout=CLOSE_S)
            if not done:
                self._writing.cancel()
                await asyncio.wait({self._writing})
            elif error := self._writing.exception():
                raise error

    def _put(self, message: Message, size: int) -> None:
        self._waiting.append((message, size))
        self._waiting_bytes += size
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())
        if not self.full and self._waiting_bytes > HIGH_BYTES:
            self._flow(full=True)

    async def _write(self) -> None:
        try:
            while self._waiting:
                message, size = self._waiting.popleft()
                await self._server_send(message)
                self._waiting_bytes -= size
                if self.full and self._waiting_bytes <= LOW_BYTES:
                    self._flow(full=False)
        except Exception as failure:
            self._finish(End(ABNORMAL, ""))
            self._waiting.clear()
            self._waiting_bytes = 0
            self._flow(full=False)
            if not isinstance(failure, OSError):  # how a server says that the client has left (ASGI 2.4)
                raise

    def _flow(self, *, full: bool) -> None:
        self.full = full
        if full:
            self._room.clear()
        else:
            self._room.set()
        self.on_flow()

    def _finish(self, end: End) -> None:
        if not self._end.done():
            self._end.set_result(end)
        self._heard.set()
        self._room.set()  # who waits to send is told that it is over


def messages_in(frames: bytes) -> Iterator[Message]:
    """ASGI's messages of whole frames of a server (RFC 6455, 5.2), which are neither masked nor in pieces."""
    view, at = memoryview(frames), 0
    while at < len(view):
        text, size, at = view[at] == 0x81, view[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(view[at : at + wide]), at + wide
        payload, at = bytes(view[at : at + size]), at + size
        yield (
            {"type": "websocket.send", "text": payload.decode()}
            if text
            else {"type": "websocket.send", "bytes": payload}
        )


def _accepting(message: Message) -> Message:
    """As ASGI has it: names in lower case, and the subprotocol beside the headers."""
    headers = [(name.lower(), value) for name, value in message.get("headers", ())]
    named = [value.decode() for name, value in headers if name == PROTOCOL]
    own = [header for header in headers if header[0] != PROTOCOL]
    return {**message, "headers": own, "subprotocol": message.get("subprotocol") or next(iter(named), None)}


def _size(message: Message) -> int:
    """Of its payload; a text by its characters, of which none takes less than a byte."""
    return len(message.get("bytes") or message.get("text") or "")


async def _of(receive: Receive) -> Any:
    return await receive()


def _nothing() -> None:
    pass
