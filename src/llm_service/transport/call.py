"""One request on its way: what is told to its receiver, in order, and when it is not to be told."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from llm_service.runtime import OnFailure
from llm_service.transport.base import Body, HttpHead, Receiver, TransportError
from llm_service.transport.decoding import Decoder, decoder_of
from llm_service.transport.failures import not_handled
from llm_service.transport.request_head import Origin
from llm_service.transport.response_head import Headers, ResponseHead

MOST_AT_ONCE: Final = 4
"""Decoded pieces that a receiver is told in one turn of the event loop, a MiB in all."""


class Line(Protocol):
    """The connection that a call is on."""

    def pause_reading(self) -> None:
        """Read no further."""

    def resume_reading(self) -> None:
        """Go on reading."""

    def abort(self) -> None:
        """Close at once."""


class Call:
    """The flow of one request.

    What came before the receiver paused is kept until it resumes: at most one read of the socket, and how it ended.
    """

    __slots__ = (
        "_complete", "_decoder", "_failure", "_head", "_held", "_loop", "_paused", "_receiver", "_telling", "at_once",
        "body", "connect_s", "head", "line", "on_failure", "origin", "over", "repeated", "withdraw",
    )  # fmt: skip

    def __init__(
        self,
        receiver: Receiver,
        origin: Origin,
        head: bytes,
        body: Body,
        connect_s: float,
        on_failure: OnFailure,
        loop: asyncio.AbstractEventLoop,
        *,
        at_once: bool,
    ) -> None:
        self.origin = origin
        self.head = head
        self.body = body
        self.connect_s = connect_s
        self.at_once = at_once
        self.on_failure = on_failure
        self.line: Line | None = None
        self.withdraw: Callable[[], object] | None = None
        """Ends the wait for a connection; set while there is none."""
        self.repeated = False
        self.over = False
        self._receiver = receiver
        self._loop = loop
        self._paused = False
        self._telling = False
        self._head: HttpHead | None = None
        self._held = b""
        self._complete = False
        self._failure: TransportError | None = None
        self._decoder: Decoder | None = None

    # -- the receiver's side

    def pause(self) -> None:
        self._paused = True
        if self.line is not None:
            self.line.pause_reading()

    def resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        if not self._telling:
            self._loop.call_soon(self._go_on)
        elif self.line is not None:
            self.line.resume_reading()

    def abort(self) -> None:
        self.over = True
        self._held = b""
        self._decoder = None
        line, self.line = self.line, None
        withdraw, self.withdraw = self.withdraw, None
        if line is not None:
            line.abort()
        if withdraw is not None:
            withdraw()

    # -- the connection's side

    def answer(self, head: ResponseHead) -> None:
        """The head has come. Raises TransportError for a body whose encoding was not asked for."""
        self.body = None  # it will not be sent again
        if head.encoding is not None:
            self._decoder = decoder_of(head.encoding)
        self._head = HttpHead(head.status, Headers(head.lines))

    def take(self, data: bytes) -> None:
        """What one read of the socket left of the body; may be empty."""
        if self._decoder is not None:
            self._decoder.feed(data)
        elif self._held:
            self._held += data
        else:
            self._held = data
        if not self._telling:
            self._tell()

    def end(self, data: bytes) -> None:
        """The last of the body."""
        self._complete = True
        self.take(data)

    def fail(self, error: TransportError) -> None:
        """Nothing more comes, and the answer is not complete."""
        self._failure = error
        if not self._telling:
            self._tell()

    # -- telling

    def _go_on(self) -> None:
        if not self._telling and self._tell() and self.line is not None:
            self.line.resume_reading()

    def _tell(self) -> bool:
        """Tell the receiver what there is to tell, until it pauses or aborts. Returns whether it may be told more."""
        self._telling = True
        try:
            if self._head is not None and not self._paused and not self.over:
                head, self._head = self._head, None
                self._receiver.on_head(head)
            if self._decoder is not None:
                if not self._tell_decoded():
                    return False
            elif self._held and not self._paused and not self.over:
                piece, self._held = self._held, b""
                self._receiver.on_body(piece)
            if (self._complete or self._failure is not None) and not self._paused and not self.over:
                self._tell_end()
        except TransportError as error:
            self._break_off(error)
        except Exception as defect:  # noqa: BLE001 - a receiver's defect: reported, and its answer is not complete
            self.on_failure("upstream call", defect)
            self._break_off(not_handled())
        finally:
            self._telling = False
        return not self._paused

    def _tell_decoded(self) -> bool:
        """Tell what is decoded. Returns whether that is all for now.

        A body that is being decoded may hold a thousand times what was read: others get their turn in between.
        """
        told = 0
        while self._decoder is not None and not self._paused and not self.over and (piece := self._decoder.piece()):
            self._receiver.on_body(piece)
            told += 1
            if told == MOST_AT_ONCE:
                self._rest()
                return False
        return True

    def _rest(self) -> None:
        """Go on in the next turn of the event loop, and read nothing before."""
        if self.line is not None:
            self.line.pause_reading()
        self._loop.call_soon(self._go_on)

    def _tell_end(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._decoder is not None:
            self._decoder.finish()
        self._receiver.on_end()
        self.over = True

    def _break_off(self, error: TransportError) -> None:
        if self.over:
            return
        self.abort()
        try:
            self._receiver.on_error(error)
        except Exception as defect:  # noqa: BLE001 - nobody is left to be told
            self.on_failure("upstream call", defect)


__all__ = ["Call", "Line"]
