"""Messages from what a client of a WebSocket sends, within bounds; frames by websockets' sans-I/O protocol."""

from collections import deque
from typing import Any, Final

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from llm_service.api.http_request import Message
from llm_service.api.websocket.close_codes import ABNORMAL, ABUSE, NO_TEXT, TOO_BIG, End
from llm_service.api.websocket.wire import MAX_MESSAGE_BYTES

MAX_FRAGMENTS: Final = 4096
CONTROLS: Final = 100
"""Pings and pongs that a client may send between two of its messages, or until the next look at its silence."""


class MessageReader:
    """``messages``: those that were not taken yet. ``refusal``: with what the socket is to be closed, once that is so.

    A message may have ``max_message_bytes`` in ``MAX_FRAGMENTS`` frames; nothing is compressed.
    """

    __slots__ = (
        "_controls", "_fragments", "_frames", "_kind", "_pieces", "completed", "max_message_bytes", "messages",
        "pinged", "refusal", "seen",
    )  # fmt: skip

    def __init__(self) -> None:
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.messages: deque[Message] = deque()
        self.refusal: End | None = None
        self.completed = 0  # messages, and pings and pongs between them
        self.seen = False  # a frame came since the last look, other than an answer to a ping
        self.pinged = False  # a ping was sent, and nothing answered yet
        self._frames = Protocol(Side.SERVER, state=OPEN, max_size=None)
        self._pieces = bytearray()
        self._kind = Opcode.TEXT
        self._fragments = 0
        self._controls = 0

    # -- in

    def feed(self, data: bytes) -> bytes:
        """Take bytes apart; what is to be answered at once: pongs, and a close where the client's says so or failed."""
        frames = self._frames
        frames.max_message_size = self.max_message_bytes
        frames.receive_data(data)
        for event in frames.events_received():
            if isinstance(event, Frame) and self.refusal is None:
                self._take(event)
        answers = [answer for answer in frames.data_to_send() if answer]
        return b"" if not answers else answers[-1] if self.end is not None else b"".join(answers)

    @property
    def end(self) -> End | None:
        """How it ends, when the client has closed it or what came is no WebSocket."""
        frames = self._frames
        if frames.parser_exc is None and frames.close_rcvd is None:
            return None
        close = frames.close_sent or frames.close_rcvd
        return End(ABNORMAL, "") if close is None else End(close.code, close.reason)

    @property
    def client_closed(self) -> bool:
        """Whether the client's close has come."""
        return self._frames.close_rcvd is not None

    @property
    def failed(self) -> bool:
        """Whether what came is no WebSocket: nothing more can be understood."""
        return self._frames.parser_exc is not None

    @property
    def incomplete(self) -> bool:
        """Whether a message, or a frame, has begun to come."""
        return bool(self._frames.reader.buffer or self._fragments)

    @property
    def incomplete_bytes(self) -> int:
        """What is kept of a message that has begun to come."""
        return len(self._frames.reader.buffer) + len(self._pieces)

    def look(self) -> None:
        """Begin to count anew what comes until the next look."""
        self.seen = False
        self._controls = 0

    def _take(self, frame: Frame) -> None:
        self.seen = self.seen or frame.opcode is not Opcode.PONG
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._take_data(frame)
            case Opcode.PING | Opcode.PONG:
                self.pinged = False
                self.completed += not self._fragments
                self._controls += 1
                if self._controls > CONTROLS:
                    self.refusal = End(ABUSE, "Too many pings.")
            case _:
                pass  # a close: see ``end``

    def _take_data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._kind = frame.opcode
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
            self.refusal = End(TOO_BIG, f"A message may come in at most {MAX_FRAGMENTS} frames.")

    def _deliver(self, data: bytes) -> None:
        self._controls = 0
        self.completed += 1
        message: dict[str, Any] = {"type": "websocket.receive"}
        if self._kind is Opcode.BINARY:
            message["bytes"] = data
        else:
            try:
                message["text"] = data.decode()
            except UnicodeDecodeError:
                self.refusal = End(NO_TEXT, "Text must be UTF-8.")
                return
        self.messages.append(message)

    # -- out

    def ping(self) -> bytes:
        """A ping, which the client is to answer."""
        self.pinged = True
        self._frames.send_ping(b"llm")
        return b"".join(self._frames.data_to_send())

    def closing(self, end: End) -> bytes:
        """Our close; nothing where the client's came first."""
        self._pieces = bytearray()
        if self._frames.state is OPEN:
            self._frames.send_close(end.code, end.reason)
        return b"".join(self._frames.data_to_send())

    def release(self) -> None:
        """No more comes: let go what would keep itself alive."""
        self._frames.parser.close()
