"""The fast lane: a request of a hot route straight from the parser to its door, and its answer to the transport.

It stands where uvicorn's ``RequestResponseCycle`` stands, and does on the wire what that does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from llm_service.api.client import Lane, Waiting, header_block
from llm_service.api.http_request import Headers, HungUp, checked_headers

KNOWN_SERVERS: Final = frozenset(("0.54.0",))
"""The versions of uvicorn whose connections this is known to fit. With others, requests go the plain way of ASGI."""
HeaderPairs = Sequence[tuple[bytes, bytes]]
_STAYS: Final = b"\r\n"
_CLOSES: Final = b"connection: close\r\n\r\n"
_FAILED: Final = b"content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"


class FastLane:
    """What all connections of a server share: the lane that is in force (``current``), and how answers begin."""

    __slots__ = ("_beginnings", "_block", "_headers", "current")

    def __init__(self, current: Callable[[], Lane]) -> None:
        self.current = current
        self._headers: HeaderPairs | None = None
        self._block = b""
        self._beginnings: dict[int, bytes] = {}

    def beginning(self, status: int, headers: HeaderPairs) -> bytes:
        """The status line and the server's own headers, rendered once for each list that it makes, once a second."""
        if headers is not self._headers:
            self._headers, self._block = headers, header_block(headers)
            self._beginnings = {}
        begun = self._beginnings.get(status)
        if begun is None:
            begun = self._beginnings[status] = STATUS_LINE[status] + self._block
        return begun


class HotRequest:
    """A ``Client`` at the other end of a connection: HTTP/1.1, with a body of any framing, and no ``Expect``.

    What the connection reads and sets: ``keep_alive`` (it is not closed behind the answer), ``more_body``,
    ``response_started``, ``response_complete``, and ``disconnected``, of which it tells by ``message_event.set()``.
    """

    __slots__ = (
        "_body", "_chunked", "_connection", "_headers", "_lane", "_left", "_news", "_pairs", "_target",
        "_task", "disconnected", "keep_alive", "more_body", "peer", "response_complete", "response_started",
    )  # fmt: skip

    def __init__(
        self,
        connection: HttpToolsProtocol,
        lane: FastLane,
        target: bytes,
        headers: dict[bytes, bytes],
        pairs: HeaderPairs,
        keep_alive: bool,  # noqa: FBT001 - made for each request: keywords cost a tenth of it
    ) -> None:
        client = connection.client
        self.peer = None if client is None else client[0]
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_started = self.response_complete = self.disconnected = False
        self._connection: HttpToolsProtocol | None = connection
        """Until the answer is written, or the client has left: the two would hold each other."""
        self._lane = lane
        self._target = target
        self._headers = headers
        self._pairs = pairs
        self._body: bytes | bytearray = b""
        self._chunked = False
        self._left: Callable[[], None] | None = None
        self._news: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin_in(self, loop: asyncio.AbstractEventLoop, tasks: "set[asyncio.Task[None]]") -> None:
        """Serve it in a task of its own, which is among these until it is done."""
        self._task = loop.create_task(self._run(tasks))
        tasks.add(self._task)

    async def _run(self, tasks: "set[asyncio.Task[None]]") -> None:
        """Whatever becomes of it, the client is not left waiting."""
        task: Any = self._task
        self._task = None  # it has us
        try:
            await self._lane.current().routes[self._target](self, task)  # of the settings that are in force now
        except BaseException as failure:  # noqa: BLE001 - also a cancellation by the server, which goes on closing
            self._fail("A request on the fast lane failed", failure)
        else:
            if self._connection is not None:
                self._fail("A request on the fast lane was left without the end of its answer", None)
        finally:
            tasks.discard(task)

    def _fail(self, said: str, failure: BaseException | None) -> None:
        connection = self._connection
        if connection is None:
            return
        connection.logger.error(said, exc_info=failure)
        self.keep_alive = False
        if self.response_started:
            self._ended(connection)
        else:
            self._write_whole(connection, 500, _FAILED, b"Internal Server Error")

    # -- what the connection says

    def take(self, piece: bytes) -> None:
        """A piece of the body has come."""
        connection = self._connection
        if connection is None:  # it has its answer, and nobody wants the rest
            return
        if not self._body:
            self._body = piece
        elif isinstance(self._body, bytearray):
            self._body += piece
        else:
            self._body = bytearray(self._body) + piece
        if len(self._body) > HIGH_WATER_LIMIT:
            connection.flow.pause_reading()
        if self._news is not None:
            self._tell()

    def complete(self) -> None:
        """The body has ended."""
        self.more_body = False
        if self._news is not None:
            self._tell()

    @property
    def message_event(self) -> "HotRequest":
        """Whom the connection tells that the client has left."""
        return self

    def set(self) -> None:
        """The client has left, or something came."""
        if self.disconnected:
            self._connection = None
            left, self._left = self._left, None
            if left is not None:
                left()
        self._tell()

    def _tell(self) -> None:
        news = self._news
        if news is not None and not news.done():
            news.set_result(None)

    async def _wait(self, connection: HttpToolsProtocol) -> None:
        """Until something comes, the client leaves, or the answer is written."""
        connection.flow.resume_reading()
        self._news = connection.loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    # -- what the door asks

    def headers(self) -> Headers:
        """Those of the request. Raises InvalidRequest."""
        return checked_headers(self._headers, self._pairs, version="1.1")

    def whole_body(self) -> bytes | None:
        """The body where all of it has come."""
        if self.more_body:
            return None
        body, self._body = self._body, b""
        return bytes(body)

    async def piece(self) -> tuple[bytes, bool]:
        """What has come of the body since, and whether more is to come. Raises HungUp."""
        while not self._body and self.more_body and (connection := self._connection) is not None:
            await self._wait(connection)
        if self.disconnected:
            raise HungUp
        body, self._body = self._body, b""
        return bytes(body), self.more_body

    def on_left(self, callback: Callable[[], None] | None) -> None:
        """Call back when the client leaves."""
        self._left = callback
        if callback is None:
            return
        if (connection := self._connection) is not None:
            connection.flow.resume_reading()  # who does not read does not notice it
        elif self.disconnected:
            asyncio.get_running_loop().call_soon(self.set)

    async def gone(self) -> None:
        """Wait until the client leaves, or the answer has been written."""
        while (connection := self._connection) is not None:
            await self._wait(connection)

    # -- what the door answers

    def respond(self, status: int, head: bytes, body: bytes) -> Waiting:
        """The whole response."""
        connection = self._connection
        if connection is None:
            return None
        if connection.flow.write_paused:
            return self._once_read(connection, self.respond, status, head, body)
        self._write_whole(connection, status, head, body)
        return None

    def respond_early(self, status: int, head: bytes, body: bytes) -> Waiting:
        """The same to a client that may still be sending."""
        connection = self._connection
        if connection is None:
            return None
        if connection.flow.write_paused:
            return self._once_read(connection, self.respond_early, status, head, body)
        self.response_started = True
        self.keep_alive = False
        connection.transport.write(b"".join((self._beginning(connection, status), head, _CLOSES, body)))
        return None

    def begin(self, head: bytes) -> Waiting:
        """The beginning of a response with status 200 whose length nobody knows."""
        connection = self._connection
        if connection is None:
            return None
        if connection.flow.write_paused:
            return self._once_read(connection, self.begin, head)
        self.response_started = self._chunked = True
        closes = b"" if self.keep_alive else b"connection: close\r\n"
        lines = (self._beginning(connection, 200), head, closes, b"transfer-encoding: chunked\r\n\r\n")
        transport: Any = connection.transport
        transport.write_later(b"".join(lines))  # with the first piece, which comes in this turn
        return None

    def write(self, data: bytes) -> Waiting:
        """A piece of it."""
        connection = self._connection
        if connection is None:
            return None
        if connection.flow.write_paused:
            return self._once_read(connection, self.write, data)
        connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return None

    def end(self, data: bytes) -> Waiting:
        """The last piece, which may be empty."""
        connection = self._connection
        if connection is None:
            return None
        if connection.flow.write_paused:
            return self._once_read(connection, self.end, data)
        if self._chunked:
            connection.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        self._ended(connection)
        return None

    async def _once_read(
        self, connection: HttpToolsProtocol, write: Callable[..., Awaitable[None] | None], *what: Any
    ) -> None:
        """Write when the client has read what was written before, or nothing when it has left."""
        await connection.flow.drain()
        waiting = write(*what)
        if waiting is not None:
            await waiting

    def _write_whole(self, connection: HttpToolsProtocol, status: int, head: bytes, body: bytes) -> None:
        self.response_started = True
        end = _STAYS if self.keep_alive else _CLOSES
        transport: Any = connection.transport
        transport.write_later(b"".join((self._beginning(connection, status), head, end, body)))
        self._ended(connection)

    def _beginning(self, connection: HttpToolsProtocol, status: int) -> bytes:
        return self._lane.beginning(status, connection.server_state.default_headers)

    def _ended(self, connection: HttpToolsProtocol) -> None:
        self.response_complete = True
        self._connection = None
        if self._news is not None:
            self._tell()
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()
