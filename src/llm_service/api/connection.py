"""One client's connection: uvicorn's HTTP/1.1 protocol, with bounds on what a client may make it wait for and keep."""

import asyncio
import select
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from llm_service.api.errors import error_body
from llm_service.api.heads import head_problem
from llm_service.api.hot_request import FastLane, HotRequest
from llm_service.api.unread import Unread
from llm_service.api.until_close import until_close
from llm_service.api.websocket.handshake import acceptance, asks_for_websocket, websocket_scope
from llm_service.api.whole_response import offer, withdraw
from llm_service.domain import InvalidRequest
from llm_service.runtime import Turn, TurnTransport

HEAD_BYTES: Final = 64 * 1024
FRAMING_BYTES: Final = 64 * 1024
CHUNK_BYTES: Final = 32
"""What a chunk may need around it: its length, and the ends of its lines."""
RECEIVE_S: Final = 30.0
RECEIVE_BYTES: Final = 256 * 1024
WAITING_REQUESTS: Final = 4
LINGER_S: Final = 5
"""How long a process that leaves its clients to others goes on hearing one that says nothing."""
NEWS_S: Final = 1.0
"""In which what a socket holds has to have become a part of a request."""
Cycle = RequestResponseCycle | HotRequest
"""A request and its answer."""
Refused = Callable[[InvalidRequest], str]
"""Notes what never became a request, and gives it the id under which the log has it."""

_UPGRADE: Final = (b"upgrade", b"http2-settings")


class Connection(HttpToolsProtocol):
    """Refuses what is no HTTP in the contract's form, and heads and trailers of more than ``HEAD_BYTES``.

    A request that is not complete ``RECEIVE_S`` after it began is given up, unless ``RECEIVE_BYTES`` of it came in that
    time, and a client that reads nothing of what waits for it is cut off (``Unread``). The handshake of a WebSocket
    hands the connection over. No other offer to upgrade (Java's client and curl make one with each request) is taken
    up: the request counts.

    Requests of hot routes go by the fast lane, where there is one, unless they need what is ASGI's or the
    application's: an ``Expect``, HTTP/1.0, the page of another origin (CORS), an address that is spelled otherwise.

    One that is to ``leave`` closes only behind an answer that says so, or after ``LINGER_S`` of silence: a client that
    was not told may be about to send its next request (RFC 9112, section 9.6).
    """

    __slots__ = (
        "_begun", "_close_at", "_complete", "_framing_left", "_head_came", "_in_body", "_lane", "_leaving", "_moved",
        "_note_refused", "_patience", "_problem", "_received_bytes", "_refused", "_served", "_stuck_bytes", "_turn",
        "_unread", "heard_at",
    )  # beside the dictionary that its base has, which is smaller and faster with fewer names  # fmt: skip

    def __init__(
        self,
        *arguments: Any,
        refused: Refused,
        begun: Callable[["Connection"], None] | None = None,
        lane: FastLane | None = None,
        turn: Turn,
        **named: Any,
    ) -> None:
        """``begun`` is told that the connection is there. ``turn``: at its end whole answers go out."""
        super().__init__(*arguments, **named)
        self._note_refused = refused
        self._lane = lane
        self._turn = turn
        self._begun = begun
        self.heard_at = 0.0
        """When bytes came last, by the clock of the event loop."""
        self._moved = False  # the last bytes completed a head, were of a body, or ended it
        self._complete = False  # no request is under way
        self._stuck_bytes = 0
        self._problem = ""  # of a head that is HTTP, and is not taken
        self._head_came = False  # with the last bytes
        self._in_body = False
        self._framing_left = FRAMING_BYTES  # of the request's bytes, so many more may be no body
        self._received_bytes = 0
        self._patience: asyncio.TimerHandle | None = None
        self._unread: Unread | None = None
        self._refused = False
        self._served: Cycle | None = None
        self._close_at: float | None = None  # where nothing is heard until then; by the clock of the event loop
        self._leaving = False

    def leave(self) -> None:
        """Answer what runs and one more request, if one comes soon, and close."""
        self._leaving = True
        self.timeout_keep_alive = LINGER_S
        self._unset_keepalive_if_required()
        if self not in self.connections:  # it comes only now
            return
        cycle = cast("Cycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            self._wait_for_the_next()
        elif not cycle.response_started:
            cycle.keep_alive = False

    @property
    def waits(self) -> bool:
        """Whether nothing is being done for the client: it asks for nothing, or has not finished asking."""
        return not self._answering()

    def give_up(self) -> None:
        """End at once, for others who want to be served."""
        self.transport.abort()

    # -- what the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client is there; from now on it has to say something."""
        super().connection_made(TurnTransport(transport, self._turn))
        self.heard_at = self.loop.time()
        self._wait_for_the_rest()
        if self._begun is not None:
            self._begun(self)
        if self._leaving:
            self._wait_for_the_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: the request that is being answered is told, not only the one that came last."""
        self._wait_no_longer()
        self._unset_keepalive_if_required()  # also where it was reset: the timer would keep all of it until then
        self._stop_minding_reading()
        super().connection_lost(exc)
        for cycle in (self._served, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                _part(cycle)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._refused:
            return
        self.heard_at = self.loop.time()
        self._close_at = None
        self._moved = self._head_came = False
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._problem or "This is not a valid HTTP request.")
            return
        if self._refused:  # or handed over
            return
        self._stuck_bytes = 0 if self._moved else self._stuck_bytes + len(data)
        if self._stuck_bytes > HEAD_BYTES:
            self._refuse(f"The request's head or trailer is larger than {HEAD_BYTES} bytes.")
        elif self._in_body and self._framed_beyond_measure(len(data)):
            self._refuse(f"More than {FRAMING_BYTES} bytes of the request's chunks are no body.")
        elif self._moved and self._complete:
            self._wait_no_longer()
        else:
            self._received_bytes += len(data)
            if self._patience is None:
                self._wait_for_the_rest()

    def _framed_beyond_measure(self, more_bytes: int) -> bool:
        """Whether too much came that is no body: extensions of chunks, which nobody has a use for (RFC 9112, 7.1.1)."""
        if not self._head_came:
            self._framing_left -= more_bytes
        return self._framing_left < 0

    # -- silence

    def _wait_for_the_next(self) -> None:
        """Close where nothing is heard for as long as connections are kept.

        The timer is left alone when something is heard, and looks at the time when it fires: to begin one with each
        request costs more than all else that is done about silence.
        """
        self._close_at = self.loop.time() + self.timeout_keep_alive
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _look_in(self, after_s: float, close: Callable[[], None]) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(after_s, self._mind_silence, close)

    def _mind_silence(self, close: Callable[[], None]) -> None:
        self.timeout_keep_alive_task = None
        if self._close_at is None:
            return  # something was heard; the end of its answer begins another wait
        left_s = self._close_at - self.loop.time()
        if left_s > 0:
            self._look_in(left_s, self.timeout_keep_alive_handler)
        else:
            close()

    def timeout_keep_alive_handler(self) -> None:
        """The client has said nothing for long; what it says at this very moment is answered first."""
        if self.transport.is_closing() or not _has_news(self.transport):
            super().timeout_keep_alive_handler()
        else:  # which may turn out to be nothing but TLS's own
            self._unset_keepalive_if_required()
            self._close_at = self.loop.time() + NEWS_S
            self._look_in(NEWS_S, super().timeout_keep_alive_handler)

    # -- how the client reads

    def pause_writing(self) -> None:
        """The client does not take what is sent to it."""
        self._unread = Unread(self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._stop_minding_reading()
        super().resume_writing()

    def _stop_minding_reading(self) -> None:
        if self._unread is not None:
            self._unread.stop()
            self._unread = None

    # -- what the parser says

    def on_message_begin(self) -> None:
        """A request begins."""
        self._complete = False
        if self._lane is None:
            super().on_message_begin()
        else:  # the scope is made where one is wanted
            self.url = b""
            self.headers = []
            self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """The head is complete; what calls itself a header after it, in a trailer, is none."""
        self._moved = self._head_came = self._in_body = True
        self._framing_left = FRAMING_BYTES
        before = self.cycle
        if not self._begins_hot():
            self._begin_by_asgi()
        if not self.parser.should_upgrade():
            self.headers = []
        if self._leaving and self.cycle is not before:  # an offer to upgrade begins no request yet
            self.cycle.keep_alive = False
        if 0 < len(self.pipeline) <= WAITING_REQUESTS:
            self.flow.resume_reading()  # who does not read does not notice that the client leaves

    def _begins_hot(self) -> bool:
        """Whether the request goes by the fast lane, where it has been put then."""
        lane, parser, pairs, target = self._lane, self.parser, self.headers, self.url
        if lane is None:
            return False
        current = lane.current()
        if target not in current.routes or not current.is_open:
            return False
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return False
        headers = dict(pairs)
        if self.expect_100_continue or b"origin" in headers or parser.should_upgrade():
            return False
        if b"transfer-encoding" in headers and head_problem(parser, target, pairs) is not None:
            return False
        before: Any = self.cycle
        request: Any = HotRequest(self, lane, target, headers, pairs, parser.should_keep_alive())
        self.cycle = request
        if before is None or before.response_complete:
            self._start_asgi_task(request, None)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((request, self.app))
        return True

    def _begin_by_asgi(self) -> None:
        if (problem := head_problem(self.parser, self.url, self.headers)) is not None:
            self._problem = problem
            raise httptools.HttpParserError(problem)
        if self._lane is not None:
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._moved = True
        self._framing_left += len(body)
        cycle: Any = self.cycle
        if type(cycle) is HotRequest:
            cycle.take(body)
        else:
            super().on_body(body)

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._framing_left += CHUNK_BYTES

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._moved = self._complete = True
        self._in_body = False
        cycle: Any = self.cycle
        if type(cycle) is HotRequest:
            cycle.complete()  # where an upgrade is offered, it is the one before, and was complete
        else:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._served = cycle
        if type(cycle) is HotRequest:
            cycle.begin_in(self.loop, self.tasks)
            return
        offer(cycle)
        super()._start_asgi_task(cycle, until_close(cycle, app) if cycle.scope["http_version"] == "1.0" else app)

    def on_response_complete(self) -> None:
        """The answer is written, as far as we are concerned."""
        if isinstance(self._served, RequestResponseCycle):
            withdraw(self._served)
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._wait_for_the_next()

    # -- an upgrade

    def _should_upgrade(self) -> bool:
        """Keeps uvicorn from beginning a request whose body its parser is going to skip."""
        return True

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = data[offer.args[0] :]
                if asks_for_websocket(self.parser.get_method(), self.headers) and not self._answering():
                    self._hand_over(rest)
                    return
                data = self._head_without_upgrade() + rest
                self.parser = httptools.HttpRequestParser(self)

    def _hand_over(self, rest: bytes) -> None:
        """Make the connection a WebSocket's; ``rest``: what came behind the handshake."""
        try:
            accept = acceptance(self.parser.get_http_version(), self.headers)
        except InvalidRequest as error:
            self._refused = True
            self._answer_and_close(error)
            return
        scope = websocket_scope(cast("dict[str, Any]", self.scope), self.url, self.headers)
        self._refused = True
        self._wait_no_longer()
        self._unset_keepalive_if_required()
        self._stop_minding_reading()
        self.connections.discard(self)
        self.parser = None  # type: ignore[assignment]  # as at its end: the two know each other
        from llm_service.api.websocket.protocol import SocketProtocol  # with a library that only WebSockets need

        socket = SocketProtocol(self.app, scope, accept=accept, state=self.server_state)
        socket.begin(self.transport, rest, full=self.flow.write_paused)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in tokens if token.lower() not in _UPGRADE)  # noqa: PLW2901
            if name not in _UPGRADE:
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    # -- what is refused

    def _refuse(self, message: str) -> None:
        """Hear no more. What was asked for in full before is answered first."""
        self._refused = True
        if not self._answering():
            self._answer_and_close(InvalidRequest(message))
            return
        if self.cycle.more_body:  # it came behind others that wait for their answers, and shall not begin
            self.pipeline.popleft()
            last: Any = self.pipeline[0][0] if self.pipeline else self._served
            self.cycle = last
        self.cycle.keep_alive = False

    def _answering(self) -> bool:
        """Whether a request that came in full waits for the end of its answer."""
        cycle = cast("Cycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            return False
        return bool(self.pipeline) or not cycle.more_body

    def _answer_and_close(self, error: InvalidRequest) -> None:
        request_id = self._note_refused(error)
        body = error_body(error, request_id=request_id)
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%b: %b" % header for header in headers), b"", body]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()

    def _wait_for_the_rest(self) -> None:
        self._received_bytes = 0
        self._patience = self.loop.call_later(RECEIVE_S, self._mind_slowness)

    def _wait_no_longer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _mind_slowness(self) -> None:
        """Give up a client that sends too slowly; not while an earlier request of its is being answered."""
        if self._answering() or self._received_bytes >= RECEIVE_BYTES:
            self._wait_for_the_rest()
        else:
            self.transport.close()


def _part(cycle: Cycle) -> None:
    """Tell a request that its client has left."""
    cycle.disconnected = True
    cycle.message_event.set()
    if isinstance(cycle, RequestResponseCycle):
        withdraw(cycle)


def _has_news(transport: asyncio.Transport) -> bool:
    """Whether the socket holds something that the event loop has not seen yet."""
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(waiting.poll(0))
