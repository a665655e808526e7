"""A client's WebSocket: frames by websockets' sans-I/O protocol, messages by ASGI, bounds on what a client may cost."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from llm_service.api.http_request import Message
from llm_service.api.websocket.wire import EXTENSION, binary_frame, text_frame

MAX_MESSAGE_BYTES: Final = 1024 * 1024
MAX_FRAGMENTS: Final = 4096
SLICE_BYTES: Final = 4096
"""So much is parsed at once: a few hundred of the smallest frames."""
MESSAGES_A_TURN: Final = 16
CONTROLS: Final = 100
"""Pings and pongs that a client may send between two of its messages, or until the next look at its silence."""
RECEIVE_BYTES: Final = 256 * 1024
UNREAD_S: Final = 300.0
CLOSE_S: Final = 5.0
UNWANTED_BYTES: Final = 256 * 1024
ABNORMAL: Final = 1006
TOO_BIG: Final = 1009
FAILED: Final = 1011
RESTARTING: Final = 1012
ABUSE: Final = 4429
App = Callable[[Any, Any, Any], Any]


class SocketProtocol(asyncio.Protocol):
    """Takes over the transport of a connection whose handshake was read. It is its own wire.

    What is not read by the application is not read from the socket: one message waits, and what came with it. A message
    may have ``max_message_bytes`` in ``MAX_FRAGMENTS`` frames; nothing is compressed. Once closed, up to
    ``UNWANTED_BYTES`` are let pass while the client's own close is waited for.
    """

    __slots__ = (
        "_accept",
        "_app",
        "_client_writable",
        "_close_timer",
        "_closed",
        "_code",
        "_controls",
        "_default_headers",
        "_denial",
        "_fragments",
        "_frames",
        "_inbox",
        "_late",
        "_loop",
        "_messages",
        "_news",
        "_opened",
        "_piece_kind",
        "_pieces",
        "_ping_s",
        "_pinged",
        "_reading",
        "_received_bytes",
        "_scope",
        "_seen",
        "_silence",
        "_state",
        "_task",
        "_transport",
        "_turn",
        "_unparsed",
        "_unread",
        "_unwanted_bytes",
        "full",
        "max_message_bytes",
        "on_flow",
    )  # fmt: skip

    def __init__(self, app: App, scope: dict[str, Any], *, accept: bytes, state: ServerState) -> None:
        """``accept``: what proves that the handshake was read."""
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.on_flow: Callable[[], None] = _nothing
        self.full = False
        self._app = app
        self._scope = scope
        self._accept = accept
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._frames = Protocol(Side.SERVER, state=OPEN, max_size=None)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened = False
        self._closed = False  # by us, or by the client: nothing is written any more
        self._code: tuple[int, str] | None = None  # what the application is told when it has had all messages
        self._denial: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._inbox: deque[Message] = deque(({"type": "websocket.connect"},))
        self._news: asyncio.Future[None] | None = None
        self._turn = 0
        self._unparsed = memoryview(b"")
        self._reading = True
        self._pieces = bytearray()
        self._piece_kind = Opcode.TEXT
        self._fragments = 0
        self._controls = 0
        self._unwanted_bytes = 0
        self._client_writable: asyncio.Future[None] | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._ping_s = 0.0
        self._silence: asyncio.TimerHandle | None = None
        self._pinged = False
        self._seen = False  # a whole frame came since the last look
        self._late = False  # a message was incomplete at the last look already
        self._received_bytes = 0

    # -- what the transport says

    def begin(self, transport: asyncio.Transport, data: bytes) -> None:
        """Take the transport over, with what came behind the handshake, and let the application answer."""
        self._transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type]  # what has `shutdown` is a connection to it
        transport.set_protocol(self)
        extensions = {EXTENSION: self, "websocket.http.response": {}}
        scope, self._scope = {**self._scope, "extensions": extensions}, {}
        self._task = self._loop.create_task(self._run(scope))
        self._state.tasks.add(self._task)
        self._task.add_done_callback(self._state.tasks.discard)
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
        for timer in (self._unread, self._close_timer, self._silence):
            if timer is not None:
                timer.cancel()
        self._tell_end(ABNORMAL, "")
        self.resume_writing()
        self._transport = None
        self._frames.parser.close()  # it knows the frames as they know it: neither would be freed at once

    def pause_writing(self) -> None:
        """The client does not take what is sent to it."""
        self.full = True
        self._mind_reading(before_bytes=None)
        self.on_flow()

    def resume_writing(self) -> None:
        """It does again, or is gone."""
        if self._unread is not None:
            self._unread.cancel()
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
            self._deny(503, [], b"")
        else:
            self.close(RESTARTING, "")
            if self._transport is not None:
                self._transport.close()

    # -- in

    def _parse(self) -> None:
        """Take frames apart, a slice at a time, until there is a message that the application has not had."""
        frames = self._frames
        while self._unparsed and not self._inbox and self._opened and not self._closed:
            piece, self._unparsed = self._unparsed[:SLICE_BYTES], self._unparsed[SLICE_BYTES:]
            frames.max_message_size = self.max_message_bytes
            frames.receive_data(bytes(piece))
            for event in frames.events_received():
                if isinstance(event, Frame) and not self._closed:
                    self._take(event)
            self._flush()
        self._pace()

    def _pace(self) -> None:
        transport = self._transport
        reading = not self._inbox and not self._unparsed
        if transport is None or transport.is_closing() or self._closed or reading == self._reading:
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _flush(self) -> None:
        """Send what the parser answers by itself: pongs, unless they would only wait; and its close."""
        frames = self._frames
        answers = [data for data in frames.data_to_send() if data]
        if frames.parser_exc is not None or frames.close_rcvd is not None:
            close = frames.close_sent or frames.close_rcvd
            if self._opened and answers and not self._closed:
                self._put(answers[-1])
            self._end(ABNORMAL if close is None else close.code, "" if close is None else close.reason)
            if self._transport is None or self._transport.is_closing():
                return
            if frames.close_rcvd is not None:
                self._transport.close()
            else:
                self._transport.write_eof()  # its own close could not be told from what went wrong
        elif answers and not self.full and not self._closed:
            self._put(b"".join(answers))

    def _take(self, frame: Frame) -> None:
        self._seen = self._seen or frame.opcode is not Opcode.PONG
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._take_data(frame)
            case Opcode.PING | Opcode.PONG:
                self._pinged = False
                self._controls += 1
                if self._controls > CONTROLS:
                    self.close(ABUSE, "Too many pings.")
            case _:
                pass  # a close: what the parser answers ends the socket

    def _take_data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._piece_kind = frame.opcode
        if frame.fin and not self._fragments:
            self._deliver(bytes(frame.data))
            return
        self._pieces += frame.data
        self._fragments += 1
        if frame.fin:
            whole = bytes(self._pieces)
            self._pieces, self._fragments = bytearray(), 0
            self._deliver(whole)
        elif self._fragments >= MAX_FRAGMENTS:
            self.close(TOO_BIG, f"A message may come in at most {MAX_FRAGMENTS} frames.")

    def _deliver(self, data: bytes) -> None:
        self._controls = 0
        if self._piece_kind is Opcode.BINARY:
            self._inbox.append({"type": "websocket.receive", "bytes": data})
        else:
            try:
                self._inbox.append({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError:
                self.close(1007, "Text must be UTF-8.")
                return
        self._wake()

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
        while not self._inbox and self._code is None:
            self._turn = 0
            self._news = self._loop.create_future()
            await self._news
        if not self._inbox and self._code is not None:
            code, reason = self._code
            return {"type": "websocket.disconnect", "code": code, "reason": reason}
        message = self._inbox.popleft()
        if not self._inbox:
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
        if self._denial is not None and kind == "websocket.http.response.body":
            self._pieces += message.get("body", b"")
            if not message.get("more_body"):
                self._deny(*self._denial, bytes(self._pieces))
            return
        if self._closed:
            raise ClientDisconnected
        match kind:
            case "websocket.accept":
                self._open(message.get("subprotocol"), message.get("headers", ()))
            case "websocket.send":
                text = message.get("text")
                self._put(binary_frame(message["bytes"]) if text is None else text_frame(text.encode()))
            case "websocket.close" if self._opened:
                self.close(message.get("code", 1000), message.get("reason") or "")
            case "websocket.close":
                self._deny(403, [], b"")
            case "websocket.http.response.start":
                self._denial = message["status"], [*message.get("headers", ())]
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

    def _deny(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the handshake with a response of HTTP."""
        if self._opened or self._closed:
            return
        given = [*self._state.default_headers, *headers, (b"connection", b"close")]
        if all(name != b"content-length" for name, _ in headers):
            given.append((b"content-length", b"%d" % len(body)))
        lines = [*(b"%b: %b" % header for header in given), b"", body]
        self._put(STATUS_LINE[status] + b"\r\n".join(lines))
        self._end(ABNORMAL, "")
        if self._transport is not None:
            self._transport.close()

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, self.receive, self.send)
        except ClientDisconnected:
            pass  # nobody is left to be told
        except Exception:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
            self._deny(500, [], b"")
            self.close(FAILED, "")
        else:
            self._deny(500, [], b"")
            self.close(1000, "")
        finally:
            self.on_flow = _nothing

    # -- the end

    def close(self, code: int, reason: str) -> None:
        """Send a close, and wait for the client's for a while; idempotent."""
        if self._closed or not self._opened:
            return
        if self._frames.state is OPEN:
            self._frames.send_close(code, reason)
        self._put(b"".join(self._frames.data_to_send()))
        self._end(code, reason)

    def _end(self, code: int, reason: str) -> None:
        """Nothing is written or heard any more."""
        if self._closed:
            return
        self._closed = True
        self._unparsed = memoryview(b"")
        self._pieces = bytearray()
        self._tell_end(code, reason)
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if not self._reading:
                transport.resume_reading()
            self._close_timer = self._loop.call_later(CLOSE_S, transport.abort)

    def _tell_end(self, code: int, reason: str) -> None:
        if self._code is None:
            self._code = code, reason
        self._wake()

    def _let_pass(self, data: bytes) -> None:
        """What comes after the end: the client's own close, or what it had begun to send."""
        self._unwanted_bytes += len(data)
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._frames.close_rcvd is None and self._frames.parser_exc is None:
            for piece in _slices(data):
                self._frames.receive_data(piece)
                self._frames.events_received()
                self._frames.data_to_send()
        if self._frames.close_rcvd is not None:
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
        self._controls = 0
        incomplete = bool(self._frames.reader.buffer or self._fragments)
        if self._closed:
            return
        if self.full or self._inbox or not self._opened:
            pass  # it reads slowly, or we do
        elif incomplete and self._late and self._received_bytes < RECEIVE_BYTES:
            self.close(1008, "The message does not come to its end.")
        elif not self._seen and not incomplete:
            if self._pinged:
                self.close(FAILED, "The client does not answer a ping.")
                return
            self._pinged = True
            self._frames.send_ping(b"llm")
            self._put(b"".join(self._frames.data_to_send()))
        self._late = incomplete
        self._seen = False
        self._received_bytes = 0
        self._silence = self._loop.call_later(self._ping_s, self._mind_silence)

    def _mind_reading(self, *, before_bytes: int | None) -> None:
        """Cut off a client that has taken nothing for ``UNREAD_S`` of what waits for it."""
        if self._transport is None:
            return
        if self.waiting_bytes == before_bytes:
            self._transport.abort()
        else:
            unread_bytes = self.waiting_bytes
            self._unread = self._loop.call_later(UNREAD_S, lambda: self._mind_reading(before_bytes=unread_bytes))


def _slices(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), SLICE_BYTES):
        yield data[start : start + SLICE_BYTES]


def _nothing() -> None:
    pass
