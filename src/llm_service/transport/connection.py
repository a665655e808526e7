"""One connection to an upstream: callbacks of the socket and of the parser, for one call at a time."""

import asyncio
from functools import partial
from typing import Any, Final, Protocol, cast

import httptools

from llm_service.runtime import Turn, TurnTransport
from llm_service.transport.base import BODY_FAILED, TransportError
from llm_service.transport.call import Call
from llm_service.transport.failures import cut_off, no_http
from llm_service.transport.request_head import Origin
from llm_service.transport.response_head import HEAD_BYTES, HEAD_LINE_BYTES, Line, ResponseHead, too_large
from llm_service.transport.upload import Upload

STALE_S: Final = 2.0
"""How soon after the sending a reused connection must close for that to be the end of its idle time."""
JOINED_BYTES: Final = 64 * 1024
"""A request up to this size is copied into one write; the parts of a larger one are written together."""


class Owner(Protocol):
    """Who keeps the connection. ``turn``: at the end of which requests go out."""

    turn: Turn

    def answered(self, connection: "Connection") -> None:
        """Its first answer is complete, and it still stands."""

    def free(self, connection: "Connection") -> None:
        """Its answer is complete, and it can be used again."""

    def lost(self, connection: "Connection") -> None:
        """It is closed."""

    def repeat(self, call: Call) -> None:
        """Send this call once more, on a new connection."""


class Connection(asyncio.Protocol):
    """Sends a call and tells it of the answer, straight from the socket: no task, no queue.

    A request is sent once more, on a new connection, in one case: a connection that had been used before closed within
    ``STALE_S``, and not one byte of an answer came. That is how a server's end of an idle connection looks when it
    crosses the request (RFC 9112, section 9.3.1). Chat requests are not idempotent, and for these RFC 9110,
    section 9.2.2 asks for a means to detect that the request was never applied: a server that has begun to work on one
    does not close silently at once. One that waited longer, or has said anything, may be billing for it.
    """

    __slots__ = (
        "_call", "_complete", "_head", "_interim", "_keep", "_lines", "_loop", "_moved", "_owner", "_parser", "_pieces",
        "_read_bytes", "_reading", "_sent_at_s", "_silent", "_stuck_bytes", "_upload", "ends_at_s", "idle_since_s",
        "on_body", "origin", "reused", "transport",
    )  # fmt: skip

    def __init__(self, owner: Owner, origin: Origin, loop: asyncio.AbstractEventLoop, ends_at_s: float = 0.0) -> None:
        """``ends_at_s``: from then on it is not used again."""
        self.origin = origin
        self.ends_at_s = ends_at_s
        self.idle_since_s = self._sent_at_s = 0.0
        self.reused = False
        self.transport: asyncio.Transport | None = None
        self._loop = loop
        self._owner = owner
        self._call: Call | None = None
        self._upload: Upload | None = None
        self._reading = True
        self._pieces: list[bytes] = []
        self._lines: list[Line] = []
        self.on_body = self._pieces.append
        """A piece of the body; the parser calls this."""
        self._parser: Any = httptools.HttpResponseParser(self)
        self._read_bytes = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._head: ResponseHead | None = None
        self._silent = True  # nothing of an answer has come
        self._interim = False  # the head being read is that of a 1xx
        self._moved = False  # a head was completed in this read
        self._complete = False
        self._keep = False
        self._stuck_bytes = 0

    # -- for whoever keeps it

    @property
    def call(self) -> Call | None:
        """The call it is working for."""
        return self._call

    @property
    def sending(self) -> asyncio.Task[None] | None:
        """What sends a body that comes in pieces."""
        return None if self._upload is None else self._upload.task

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def start(self, call: Call, now_s: float) -> None:
        """Send the call's request. Check ``open`` before. ``now_s``: of the loop."""
        transport: Any = self.transport
        self._call = call
        call.line = self
        call.withdraw = None
        self._sent_at_s = now_s
        body = call.body
        write = transport.write if call.at_once else transport.write_later
        if not body:
            write(call.head)
        elif not isinstance(body, bytes):
            transport.write(call.head)
            self._upload = Upload(body, transport, self._loop, partial(self._upload_failed, call))
        elif len(body) <= JOINED_BYTES:
            write(call.head + body)
        else:
            transport.writelines((call.head, body))

    def pause_reading(self) -> None:
        if self._reading and self.transport is not None and self.open:
            self._reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and self.transport is not None and self.open:
            self._reading = True
            self.transport.resume_reading()

    def abort(self) -> None:
        """Close at once; whom it works for is told nothing."""
        self._call = None
        self._end_upload()
        if self.transport is not None:
            self.transport.abort()

    # -- a request whose body comes in pieces

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        """There is room again."""
        if self._upload is not None:
            self._upload.resume()

    def _end_upload(self) -> bool:
        """Whether there was one, and it was not complete: then the connection is of no more use."""
        upload, self._upload = self._upload, None
        return upload is not None and not upload.end()

    def _upload_failed(self, call: Call, error: Exception) -> None:
        """Who gives the body has failed: what was sent of it is no request."""
        call.on_failure(BODY_FAILED, error)
        if self._call is call:
            self.abort()
            call.line = None
            call.fail(TransportError("disconnected", "the request could not be sent whole", sent=True))

    # -- what the socket says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self.transport = TurnTransport(cast("asyncio.Transport", transport), self._owner.turn)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: the end of some bodies, and the end of all else."""
        call, self._call = self._call, None
        self._end_upload()
        self.transport = self._parser = None  # the parser knows its connection
        if call is not None:
            call.line = None
            self._end_early(call, exc)
        self._owner.lost(self)

    def _end_early(self, call: Call, exc: Exception | None) -> None:
        head = self._head
        if exc is None and head is not None and head.ends_with_connection:
            call.end(b"")
        elif (
            self._silent
            and self.reused
            and not call.repeated
            and (call.body is None or isinstance(call.body, bytes))  # pieces that were taken are gone
            and self._loop.time() - self._sent_at_s <= STALE_S
        ):
            call.repeated = True
            self._owner.repeat(call)
        else:
            call.fail(cut_off(answered=head is not None))

    def data_received(self, data: bytes) -> None:
        """One read of the socket: its pieces of the body reach the call as one."""
        call = self._call
        if call is None:  # nobody asked
            self.abort()
            return
        self._silent = False
        self._read_bytes = len(data)
        failure = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            failure = cause if isinstance(cause, TransportError) else no_http()
        pieces = self._pieces
        if len(pieces) == 1:
            body = pieces.pop()
        else:
            body = b"".join(pieces)
            pieces.clear()
        if self._complete:
            self._finish(call, body, clean=failure is None)
            return
        if body or self._moved:
            self._moved = False
            self._stuck_bytes = 0
            call.take(body)
        else:  # bound what comes without completing a head or adding to a body
            self._stuck_bytes += len(data)
            if failure is None and self._stuck_bytes > HEAD_BYTES:
                failure = too_large()
        if failure is not None and not call.over:
            self.abort()
            call.line = None
            call.fail(failure)

    def _finish(self, call: Call, body: bytes, *, clean: bool) -> None:
        """Part from the call before it hears of the end: then its next request finds this connection free."""
        transport: Any = self.transport  # it stands: it has just been read from
        self._call = call.line = None
        if not self.reused:
            self.reused = True
            self._owner.answered(self)
        cut = self._upload is not None and self._end_upload()
        if clean and self._keep and not cut and not transport.get_write_buffer_size():
            self._begin_anew()
            if not self._reading:
                self.resume_reading()
            self._owner.free(self)
        else:  # surplus bytes, a request that was answered before it was read, or the server's wish
            self.abort()
        call.end(body)

    # -- what the parser says

    def on_message_begin(self) -> None:
        """An answer begins: the one that was asked for, or what a 1xx announced."""
        if self._complete:
            raise TransportError("protocol", "bytes follow the answer", sent=True)

    def on_status(self, reason: bytes) -> None:
        """The reason phrase, which nobody reads."""
        if len(reason) > HEAD_LINE_BYTES:
            raise too_large()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or of a trailer."""
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is complete; that of a 1xx is skipped. RFC 9110, section 15.2."""
        status = self._parser.get_status_code()
        if status == 101:
            raise TransportError("protocol", "the answer changes the protocol unasked", sent=True)
        lines, self._lines = self._lines, []
        head = ResponseHead(status, lines, self._stuck_bytes + self._read_bytes)
        self._interim = 100 <= status < 200
        if not self._interim:
            self._head = head
            self._moved = True
            call: Any = self._call  # there is one: without it nothing is parsed
            call.answer(head)

    def on_message_complete(self) -> None:
        """The answer is complete, trailer included."""
        if self._interim:
            return
        head: Any = self._head  # complete before its message
        if self._lines:  # a trailer has the bounds of a head, and is dropped
            ResponseHead(head.status, self._lines)
            self._lines = []
        self._complete = True
        # Chunks in HTTP/1.0 are a mistake that the connection must not outlive. RFC 9112, section 6.1.
        self._keep = self._parser.should_keep_alive() and not (
            head.chunked and self._parser.get_http_version() != "1.1"
        )


__all__ = ["Connection"]
