"""A client's WebSocket on its transport: messages by ASGI, and bounds on what a client may make it keep and do."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from llm_service.api.http_request import Message
from llm_service.api.unread import Unread
from llm_service.api.websocket.close_codes import ABNORMAL, FAILED, INCOMPLETE, RESTARTING, TOO_BIG, End
from llm_service.api.websocket.message_reader import MessageReader
from llm_service.api.websocket.wire import EXTENSION, binary_frame, text_frame

SLICE_BYTES: Final = 4096
"""So much is parsed at once: a few hundred of the smallest frames."""
MESSAGES_A_TURN: Final = 16
RECEIVE_S: Final = 30.0
RECEIVE_BYTES: Final = 256 * 1024
CLOSE_S: Final = 5.0
UNWANTED_BYTES: Final = 256 * 1024
App = Callable[[Any, Any, Any], Any]


class SocketProtocol(asyncio.Protocol):
    """Takes over the transport of a connection whose handshake was read. It is its own wire.

    What is not read by the application is not read from the socket: one message waits, and what came with it. A message
    has to come to its end within ``RECEIVE_S``, unless ``RECEIVE_BYTES`` of it come in that time. Once closed, up to
    ``UNWANTED_BYTES`` are let pass while the client's own close is waited for.
    """

    __slots__ = (
        "_accept", "_app", "_client_writable", "_close_timer", "_closed", "_denial", "_end_told", "_first_bytes",
        "_held", "_loop", "_news", "_opened", "_patience", "_ping_s", "_reader", "_reading", "_received_bytes",
        "_scope", "_silence", "_state", "_task", "_transport", "_turn", "_unparsed", "_unread", "_unwanted_bytes",
        "full", "on_flow",
    )  # fmt: skip

    def __init__(self, app: App, scope: dict[str, Any], *, accept: bytes, state: ServerState) -> None:
        """``accept``: what proves that the handshake was read."""
        self.on_flow: Callable[[], None] = _nothing
        self.full = False
        self._app = app
        self._scope = scope
        self._accept = accept
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._reader = MessageReader()
        self._reader.messages.append({"type": "websocket.connect"})
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened = False
        self._closed = False  # by us, or by the client: nothing is written any more
        self._end_told: End | None = None  # what the application is told when it has had all messages
        self._denial: _Denial | None = None
        self._news: asyncio.Future[None] | None = None
        self._turn = 0
        self._held = False  # by the application: nothing is taken
        self._first_bytes: int | None = None
        self._unparsed = memoryview(b"")
        self._reading = True
        self._unwanted_bytes = 0
        self._client_writable: asyncio.Future[None] | None = None
        self._unread: Unread | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._ping_s = 0.0
        self._silence: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None  # with a message that has begun to come
        self._received_bytes = 0

    # -- what the transport says

    def begin(self, transport: asyncio.Transport, data: bytes, *, full: bool) -> None:
        """Take the transport over, with what came behind the handshake, and let the application answer.

        ``full``: it is paused, since answers of HTTP still wait in it for the client.
        """
        self._transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type]  # what has `shutdown` is a connection to it
        transport.set_protocol(self)
        extensions = {EXTENSION: self, "websocket.http.response": {}}
        scope, self._scope = {**self._scope, "extensions": extensions}, {}
        self._task = self._loop.create_task(self._run(scope))
        self._state.tasks.add(self._task)
        self._task.add_done_callback(self._state.tasks.discard)
        if full:
            self.pause_writing()
        if data:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._closed:
            self._let_pass(data)
            return
        self._received_bytes += len(data)
        self._unparsed = memoryview(bytes(self._unparsed) + data if self._unparsed else data)
        self._parse()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._closed = True
        self._state.connections.discard(self)
        for timer in (self._close_timer, self._silence, self._patience):
            if timer is not None:
                timer.cancel()
        self._tell_end(End(ABNORMAL, ""))
        self.resume_writing()
        self._transport = None
        self._reader.release()

    def pause_writing(self) -> None:
        """The client does not take what is sent to it."""
        self.full = True
        if self._transport is not None:
            self._unread = Unread(self._transport)
        self.on_flow()

    def resume_writing(self) -> None:
        """It does again, or is gone."""
        if self._unread is not None:
            self._unread.stop()
            self._unread = None
        if self.full:
            self.full = False
            waiter, self._client_writable = self._client_writable, None
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
            self.on_flow()

    def shutdown(self) -> None:
        """The server ends."""
        if not self._opened:
            self._deny(_Denial(503))
        else:
            self.close(RESTARTING, "")
            if self._transport is not None:
                self._transport.close()

    # -- in

    @property
    def max_message_bytes(self) -> int:
        """What a message of the client may have."""
        return self._reader.max_message_bytes

    @max_message_bytes.setter
    def max_message_bytes(self, most: int) -> None:
        self._reader.max_message_bytes = most

    def hold(self) -> None:
        """Take nothing of what the client sends until ``hear``."""
        self._held = True

    def hear(self, *, first_bytes: int | None = None) -> None:
        """Take it; with ``first_bytes`` one message that is not much larger, and nothing behind it until then."""
        self._held = first_bytes is not None and bool(self._reader.messages)
        self._first_bytes = first_bytes
        self._parse()

    def _mind_first(self, most: int) -> None:
        if self._reader.messages:
            self._held = True
        elif self._reader.incomplete_bytes > most:
            self.close(TOO_BIG, f"The first message may have at most {most} bytes.")

    def _parse(self) -> None:
        """Take frames apart, a slice at a time, until there is a message that the application has not had."""
        reader = self._reader
        while self._unparsed and not reader.messages and self._opened and not self._closed and not self._held:
            piece, self._unparsed = self._unparsed[:SLICE_BYTES], self._unparsed[SLICE_BYTES:]
            answer = reader.feed(bytes(piece))
            if reader.refusal is not None:
                self.close(*reader.refusal)
            elif reader.end is not None:
                self._end_as_read(reader.end, answer)
            elif answer and not self.full:  # to a client that does not read a pong would only wait
                self._put(answer)
            if self._first_bytes is not None:
                self._mind_first(self._first_bytes)
        if reader.messages:
            self._wake()
        if reader.incomplete and self._patience is None and not self._closed:
            self._wait_for_the_rest()
        self._pace()

    def _end_as_read(self, end: End, answer: bytes) -> None:
        self._put(answer)
        self._end(end)
        if self._transport is None or self._transport.is_closing():
            return
        if self._reader.client_closed or not self._transport.can_write_eof():  # TLS has no half of an end
            self._transport.close()
        else:
            self._transport.write_eof()  # its own close could not be told from what went wrong

    def _pace(self) -> None:
        transport = self._transport
        reading = not self._reader.messages and not self._unparsed
        if transport is None or transport.is_closing() or self._closed or reading == self._reading:
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _wake(self) -> None:
        waiter, self._news = self._news, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def receive(self) -> Message:
        """The next message. ASGI's ``receive``; one caller at a time."""
        self._turn += 1
        if self._turn >= MESSAGES_A_TURN:  # who always has a message waiting is not alone here
            self._turn = 0
            await asyncio.sleep(0)
        messages = self._reader.messages
        while not messages and self._end_told is None:
            self._turn = 0
            self._news = self._loop.create_future()
            await self._news
        if not messages and self._end_told is not None:
            return {"type": "websocket.disconnect", "code": self._end_told.code, "reason": self._end_told.reason}
        message = messages.popleft()
        if not messages:
            self._parse()
        return message

    # -- out

    @property
    def waiting_bytes(self) -> int:
        """What waits in memory for the client."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def write(self, frames: bytes) -> None:
        """Send whole frames; nothing happens when the socket is closed."""
        if self._opened and not self._closed:
            self._put(frames)

    async def send(self, message: Message) -> None:
        """ASGI's ``send``; it waits for a client that is slow. Raises ClientDisconnected."""
        if self.full:
            self._client_writable = self._client_writable or self._loop.create_future()
            await asyncio.shield(self._client_writable)
        kind = message["type"]
        if self._closed:
            if kind == "websocket.close":  # both wanted that
                return
            raise ClientDisconnected
        match kind:
            case "websocket.http.response.body" if self._denial is not None:
                self._denial.body += message.get("body", b"")
                if not message.get("more_body"):
                    self._deny(self._denial)
            case "websocket.accept":
                self._open(message.get("subprotocol"), message.get("headers", ()))
            case "websocket.send":
                text = message.get("text")
                self._put(binary_frame(message["bytes"]) if text is None else text_frame(text.encode()))
            case "websocket.close":
                self._deny(_Denial(403))  # unless it is open
                self.close(message.get("code", 1000), message.get("reason") or "")
            case "websocket.http.response.start":
                self._denial = _Denial(message["status"], message.get("headers", ()))
            case _:
                raise ValueError(f"{kind!r} cannot be sent now")

    def _put(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _open(self, subprotocol: str | None, headers: Any) -> None:
        self._opened = True
        lines = [
            b"HTTP/1.1 101 Switching Protocols",
            b"upgrade: websocket",
            b"connection: upgrade",
            b"sec-websocket-accept: " + self._accept,
            *(b"%b: %b" % header for header in (*self._state.default_headers, *headers)),
        ]
        if subprotocol is not None:
            lines.append(b"sec-websocket-protocol: " + subprotocol.encode("latin-1"))
        self._put(b"\r\n".join([*lines, b"", b""]))
        self._parse()

    def _deny(self, denial: "_Denial") -> None:
        """Answer the handshake with a response of HTTP."""
        if self._opened or self._closed:
            return
        headers = [*self._state.default_headers, *denial.headers, (b"connection", b"close")]
        if all(name != b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(denial.body)))
        lines = [*(b"%b: %b" % header for header in headers), b"", denial.body]
        self._put(STATUS_LINE[denial.status] + b"\r\n".join(lines))
        self._end(End(ABNORMAL, ""))
        if self._transport is not None:
            self._transport.close()

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, self.receive, self.send)
        except (ClientDisconnected, WebSocketDisconnect):
            pass  # nobody is left to be told
        except Exception:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
            self._deny(_Denial(500))
            self.close(FAILED, "")
        else:
            self._deny(_Denial(500))
            self.close(1000, "")
        finally:
            self.on_flow = _nothing

    # -- the end

    def close(self, code: int, reason: str) -> None:
        """Send a close, and wait for the client's for a while; idempotent."""
        if self._closed or not self._opened:
            return
        end = End(code, reason)
        self._put(self._reader.closing(end))
        self._end(end)

    def _end(self, end: End) -> None:
        """Nothing is written or heard any more."""
        if self._closed:
            return
        self._closed = True
        self._unparsed = memoryview(b"")
        if not self._reader.client_closed:  # what came behind a client's mistake is not acted on
            self._reader.messages.clear()
        self._tell_end(end)
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if not self._reading:
                transport.resume_reading()
            self._close_timer = self._loop.call_later(CLOSE_S, transport.abort)

    def _tell_end(self, end: End) -> None:
        self._end_told = self._end_told or end
        self._wake()

    def _let_pass(self, data: bytes) -> None:
        """What comes after the end: the client's own close, or what it had begun to send."""
        self._unwanted_bytes += len(data)
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        reader = self._reader
        for piece in _slices(data):
            if reader.end is None:
                reader.feed(piece)
                reader.messages.clear()
        if reader.client_closed:
            transport.close()
        elif self._unwanted_bytes > UNWANTED_BYTES:
            transport.pause_reading()  # a connection that ends with bytes unread is reset: the client reads first

    # -- time

    def mind_silence(self, ping_s: float) -> None:
        """From now on, ask a client that was silent for so long whether it is there; 1011 when no answer comes."""
        self._ping_s = ping_s
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._loop.call_later(ping_s, self._mind_silence)

    def _mind_silence(self) -> None:
        reader = self._reader
        if self._closed:
            return
        if self.full or not self._reading or not self._opened:
            pass  # it reads slowly, or we do
        elif reader.seen or reader.incomplete:
            pass  # in the middle of a message it cannot answer
        elif reader.pinged:
            self.close(FAILED, "The client does not answer a ping.")
            return
        else:
            self._put(reader.ping())
        reader.look()
        self._silence = self._loop.call_later(self._ping_s, self._mind_silence)

    def _wait_for_the_rest(self) -> None:
        self._received_bytes = 0
        self._patience = self._loop.call_later(RECEIVE_S, self._mind_slowness, self._reader.completed)

    def _mind_slowness(self, completed: int) -> None:
        """Close on a message that has not come to its end, unless ``RECEIVE_BYTES`` of it came in ``RECEIVE_S``."""
        reader, self._patience = self._reader, None
        if self._closed or not reader.incomplete:
            return
        waited = completed == reader.completed and self._reading and not self.full
        if waited and self._received_bytes < RECEIVE_BYTES:
            self.close(INCOMPLETE, "The message does not come to its end.")
        else:
            self._wait_for_the_rest()


class _Denial:
    """A response in place of a WebSocket."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status = status
        self.headers = [*headers]
        self.body = b""


def _slices(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), SLICE_BYTES):
        yield data[start : start + SLICE_BYTES]


def _nothing() -> None:
    pass
