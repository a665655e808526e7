"""A TCP line to a server that can be made to fail in the ways of real networks, while it is in use."""

import asyncio
import errno
import socket
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

BACKLOG: Final = 512
SYN_ANSWERED_S: Final = 0.05
TICK_S: Final = 0.01

Accepting = Literal["yes", "refused", "unanswered", "hung"]
"""``refused``: nobody listens. ``unanswered``: the backlog is full, and the kernel drops what knocks. ``hung``:
connections are accepted, and nothing is ever read or said, a TLS handshake neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What happens to the answers of the server."""

    latency_s: float = 0.0
    drip_bytes_s: int | None = None
    """They pass at this rate only."""
    ends_after_bytes: int | None = None
    """Of all that comes over one connection; then it ends by ``ending``."""
    ending: Literal["close", "reset", "half"] = "close"


NO_TROUBLE: Final = Trouble()


class Line:
    """Passes on what clients and server say. With ``tls`` it speaks TLS to the clients.

    Use as a context; ``port`` is where it is.
    """

    def __init__(self, to_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.to_port = to_port
        self.tls = tls
        self.trouble = NO_TROUBLE
        self.silent = False
        self.turned_away = 0
        """Connections that were accepted for nothing: hung, or given up in a handshake."""
        self.wires: set[_Wire] = set()
        self._accepting: Accepting = "yes"
        self._taking: asyncio.Task[None] | None = None
        self._beginning: set[asyncio.Task[Any]] = set()
        self._idle: list[socket.socket] = []  # hung, or filling the backlog
        with bound(0) as found:  # who asks for a port by its number keeps it while it does not listen
            self.port = int(found.getsockname()[1])
            self._listening = bound(self.port)

    async def __aenter__(self) -> "Line":
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_taking()
        self._drop_idle()
        self.cut()
        self._listening.close()
        await asyncio.gather(*self._beginning, return_exceptions=True)
        for wire in tuple(self.wires):
            await wire.gone.wait()

    # -- what can be made to happen

    async def mend(self) -> None:
        """All is well again, also on the connections that are there."""
        self.trouble = NO_TROUBLE
        self._be_silent(now=False)
        if self._accepting != "yes":
            await self._stop_taking()
            self._drop_idle()
            self._accepting = "yes"
            self._listen()

    def cut(self) -> None:
        """Reset every connection that is there."""
        for wire in tuple(self.wires):
            wire.reset()

    async def refuse(self) -> None:
        """The server has died: its connections are reset, and nobody listens."""
        await self._stop_taking()
        self._accepting = "refused"
        self._listening.shutdown(socket.SHUT_RDWR)  # Linux: bound still
        self.cut()

    async def swallow(self, *, syn: bool = False) -> None:
        """A black hole: nothing passes any more. ``syn``: not even a connection is made."""
        self._be_silent(now=True)
        self._accepting = "unanswered" if syn else "hung"
        if syn:
            await self._stop_taking()
            await self._fill_backlog()

    async def hang(self) -> None:
        """New connections are accepted and hear nothing; those that are there are reset."""
        self._accepting = "hung"
        self.cut()

    # -- connections

    def _listen(self) -> None:
        self._listening.listen(BACKLOG)
        self._taking = asyncio.create_task(self._take())

    async def _stop_taking(self) -> None:
        taking, self._taking = self._taking, None
        if taking is not None:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listening)
            if self._accepting == "hung":
                self.turned_away += 1
                self._idle.append(connection)
                continue
            beginning = loop.create_task(self._begin(connection))
            self._beginning.add(beginning)
            beginning.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: _Wire(self), connection, ssl=self.tls)
        except OSError:  # no handshake came of it
            self.turned_away += 1
            connection.close()

    def _be_silent(self, *, now: bool) -> None:
        self.silent = now
        for wire in tuple(self.wires):
            wire.flow()

    def _drop_idle(self) -> None:
        for one in self._idle:
            one.close()
        self._idle.clear()

    async def _fill_backlog(self) -> None:
        """Fill the kernel's queue, until it answers nobody who knocks."""
        self._listening.listen(0)
        while True:
            knocking = socket.socket()
            knocking.setblocking(False)
            self._idle.append(knocking)
            assert knocking.connect_ex(("127.0.0.1", self.port)) in (0, errno.EINPROGRESS)
            await asyncio.sleep(SYN_ANSWERED_S)  # the kernel answers on loopback at once, or never
            with suppress(OSError):
                knocking.getpeername()
                continue
            return


def bound(port: int) -> socket.socket:
    """A socket on the port that does not listen yet; 0 finds a free one."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.setblocking(False)
    return made


class _Wire(asyncio.Protocol):
    """One connection of a client, and the one to the server behind it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._answer: deque[bytes] = deque()  # what waits, where answers are late or slow
        self._passing: asyncio.TimerHandle | None = None
        self._passed_bytes = 0
        self._connecting: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()

    # -- the client's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = transport  # type: ignore[assignment]
        self._line.wires.add(self)
        self.flow()
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Upstream(self), "127.0.0.1", self._line.to_port)
        except OSError:
            self.reset()

    def data_received(self, data: bytes) -> None:
        if self._server is None:
            self._unsent.append(data)
        else:
            self._server.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.wires.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._passing is not None:
            self._passing.cancel()
        if self._server is not None:
            self._server.close()
        self._client = None
        self.gone.set()

    # -- the server's side

    def connected(self, server: asyncio.Transport) -> None:
        if self._client is None:
            server.abort()
            return
        self._server = server
        server.writelines(self._unsent)
        self._unsent.clear()
        self.flow()

    def answered(self, data: bytes) -> None:
        trouble = self._line.trouble
        if not self._answer and not trouble.latency_s and trouble.drip_bytes_s is None:
            self._pass(data)
            return
        self._answer.append(data)
        if self._passing is None:
            self._pass_later(trouble.latency_s)

    def ended(self) -> None:
        """The server has closed."""
        self._server = None
        if self._client is not None and not self._answer:
            self._client.close()

    def _pass_later(self, after_s: float) -> None:
        self._passing = asyncio.get_running_loop().call_later(after_s or TICK_S, self._pass_on)

    def _pass_on(self) -> None:
        self._passing, rate = None, self._line.trouble.drip_bytes_s
        data = self._answer.popleft()
        most = len(data) if rate is None else max(1, int(rate * TICK_S))
        if data[most:]:
            self._answer.appendleft(data[most:])
        self._pass(data[:most])
        if self._answer:
            self._pass_later(TICK_S)
        elif self._server is None and self._client is not None:
            self._client.close()

    def _pass(self, data: bytes) -> None:
        if self._client is None:
            return
        trouble = self._line.trouble
        if trouble.ends_after_bytes is None:
            self._client.write(data)
            return
        left = max(0, trouble.ends_after_bytes - self._passed_bytes)
        self._client.write(data[:left])
        self._passed_bytes += len(data)
        if self._passed_bytes < trouble.ends_after_bytes:
            return
        if trouble.ending == "reset":
            self.reset()
        elif trouble.ending == "half" and self._client.can_write_eof():
            self._client.write_eof()
        else:
            self._client.close()

    # -- both

    def flow(self) -> None:
        """Read from both sides, or from none."""
        for side in (self._client, self._server):
            if side is not None and not side.is_closing():
                side.pause_reading() if self._line.silent else side.resume_reading()

    def reset(self) -> None:
        """End the connection by a reset, whatever is on its way."""
        for side in (self._client, self._server):
            if side is not None:
                side.abort()


class _Upstream(asyncio.Protocol):
    """The server's end of a wire."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire.connected(transport)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._wire.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.ended()
