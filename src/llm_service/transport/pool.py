"""The connections of one client: kept, bounded, and handed out in the order in which they were asked for."""

import asyncio
import ssl
from collections import OrderedDict
from functools import partial
from socket import IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY
from typing import Final

import aiohappyeyeballs

from llm_service.runtime import OnFailure, Turn
from llm_service.transport.base import TransportError
from llm_service.transport.call import Call
from llm_service.transport.connection import Connection
from llm_service.transport.failures import cannot_connect, connect_late, cut_off, tls_refused
from llm_service.transport.request_head import Origin
from llm_service.transport.tls_sessions import TlsSessions

IDLE_CONNECTION_S: Final = 15.0
CONNECTION_AGE_S: Final = 300.0
"""An older connection is not used again, so that a change of the name's addresses is noticed."""
AGE_SPREAD: Final = 0.2
"""Connections that were made together do not end together: by up to this part of their age they end earlier."""
_GOLDEN_RATIO: Final = 0.6180339887498949  # its multiples lie evenly between whole numbers, however many they are
HAPPY_EYEBALLS_S: Final = 0.25
"""How long an address may take before the next one is tried beside it. RFC 8305, section 5."""

ALPN: Final = ("http/1.1",)


class Pool:
    """At most ``max_connections`` connections, those under way and those being closed included.

    Idle ones are used again, the last one first, and closed after ``IDLE_CONNECTION_S``. Calls beyond the bound wait
    their turn, first come first served; one that is aborted gives its turn up. ``connect_s`` covers name, connection
    and TLS, not this wait. Names are resolved for each new connection, and TLS sessions resumed.
    """

    def __init__(self, *, max_connections: int, tls: ssl.SSLContext | None, on_failure: OnFailure) -> None:
        self._loop = asyncio.get_running_loop()
        self.turn = Turn()
        self._max_connections = max_connections
        self._tls = tls
        self._sessions = TlsSessions(self._loop.time)
        if tls is not None:
            self._prepare(tls)
        self._on_failure = on_failure
        self._slots = 0  # connections, and connections to be
        self._made = 0
        self._connections: set[Connection] = set()
        self._idle: dict[Origin, dict[Connection, None]] = {}
        self._connecting: dict[Call, asyncio.Task[None]] = {}
        self._waiting: OrderedDict[Call, None] = OrderedDict()
        self._minding: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None

    # -- for the client

    def send(self, call: Call) -> None:
        """Send the call as soon as there is a connection for it."""
        now_s = self._loop.time()
        if self._closed is not None:
            self._loop.call_soon(call.fail, TransportError("pool", "the client is closed", sent=False))
        elif (connection := self._idle_to(call.origin, now_s)) is not None:
            connection.start(call, now_s)
        elif self._slots < self._max_connections:
            self._connect(call)
        else:
            self._waiting[call] = None
            call.withdraw = partial(self._waiting.pop, call, None)
            self._close_one_to_another()

    async def aclose(self) -> None:
        """Abort all calls, close all connections, and return when they are closed."""
        self._closed = self._closed or self._loop.create_future()
        tasks = [*self._connecting.values(), *filter(None, (one.sending for one in self._connections))]
        for call in (*self._waiting, *self._connecting):
            call.abort()
        for connection in tuple(self._connections):
            if connection.call is not None:
                connection.call.abort()
            connection.abort()
        if self._minding is not None:
            self._minding.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connections:
            await self._closed

    # -- for the connections

    def answered(self, connection: Connection) -> None:
        """Keep its session: by now it has one."""
        if connection.origin.secure:
            self._sessions.keep(connection.transport)

    def free(self, connection: Connection) -> None:
        """Hand the connection on to who waits, or keep it for later."""
        now_s = self._loop.time()
        if self._closed is not None or now_s > connection.ends_at_s or not connection.open:
            connection.abort()
        elif not self._waiting:
            connection.idle_since_s = now_s
            idle = self._idle.get(connection.origin)
            if idle is None:
                idle = self._idle[connection.origin] = {}
            idle[connection] = None
            if self._minding is None:
                self._minding = self._loop.call_later(IDLE_CONNECTION_S, self._mind_idle)
        elif next(iter(self._waiting)).origin is connection.origin:
            connection.start(self._next(), now_s)
        else:  # it makes room for one to where the first in the row wants to go
            connection.abort()

    def lost(self, connection: Connection) -> None:
        """Its slot is free. Tells also of connections that never were complete."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._idle.get(connection.origin, {}).pop(connection, None)
        self._give_back_slot()
        if self._closed is not None and not self._connections and not self._closed.done():
            self._closed.set_result(None)

    def repeat(self, call: Call) -> None:
        """Connect anew for a call whose connection is being lost."""
        if self._closed is None:
            self._connect(call)

    # -- idle connections

    def _idle_to(self, origin: Origin, now_s: float) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection, _ = idle.popitem()
            if now_s <= connection.ends_at_s and connection.open:
                return connection
            connection.abort()
        return None

    def _close_one_to_another(self) -> None:
        """An idle connection to another address gives way to who has to wait."""
        for idle in self._idle.values():
            if idle:
                oldest = next(iter(idle))
                del idle[oldest]
                oldest.abort()
                return

    def _mind_idle(self) -> None:
        """Close what has been idle for long. One timer for all."""
        self._minding = None
        latest_s = self._loop.time() - IDLE_CONNECTION_S
        left_s = IDLE_CONNECTION_S
        for idle in self._idle.values():
            while idle:
                oldest = next(iter(idle))
                if oldest.idle_since_s > latest_s:
                    left_s = min(left_s, oldest.idle_since_s - latest_s)
                    break
                del idle[oldest]
                oldest.abort()
        if any(self._idle.values()):
            self._minding = self._loop.call_later(left_s, self._mind_idle)

    # -- new connections

    def _next(self) -> Call:
        return self._waiting.popitem(last=False)[0]

    def _give_back_slot(self) -> None:
        self._slots -= 1
        while self._waiting and self._slots < self._max_connections:
            self._connect(self._next())

    def _connect(self, call: Call) -> None:
        self._slots += 1
        self._made += 1
        connection = Connection(self, call.origin, self._loop, self._end_of_age())
        task = self._connecting[call] = self._loop.create_task(self._open(connection, call.connect_s))
        call.withdraw = task.cancel
        task.add_done_callback(partial(self._connected, call, connection))

    def _end_of_age(self) -> float:
        earlier = AGE_SPREAD * (self._made * _GOLDEN_RATIO % 1.0)
        return self._loop.time() + CONNECTION_AGE_S * (1.0 - earlier)

    def _connected(self, call: Call, connection: Connection, task: asyncio.Task[None]) -> None:
        """Not the task's own last step: one that is cancelled before it began takes none."""
        del self._connecting[call]
        failure = None
        if task.cancelled():  # the loop may have closed it, even one that stands, and need not tell
            connection.abort()
        else:
            failure = task.exception()
            if failure is None and connection.open:
                self._connections.add(connection)
                if call.over:  # aborted in the last moment
                    self.free(connection)
                else:
                    connection.start(call, self._loop.time())
                return
        self._give_back_slot()
        if isinstance(failure, TransportError):
            call.fail(failure)
        elif failure is None:
            call.fail(cut_off(answered=False, sent=False))
        else:
            self._on_failure("connecting to an upstream", failure)
            call.fail(cannot_connect(failure))

    async def _open(self, connection: Connection, connect_s: float) -> None:
        """Raises TransportError."""
        limit = asyncio.timeout(connect_s)
        try:
            async with limit:
                await self._reach(connection)
        except ssl.SSLError as error:
            raise tls_refused(error) from None
        except (OSError, UnicodeError, RuntimeError) as error:
            if limit.expired():
                raise connect_late() from None
            raise cannot_connect(error) from None

    async def _reach(self, connection: Connection) -> None:
        origin = connection.origin
        found = await self._loop.getaddrinfo(origin.host, origin.port, type=SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=HAPPY_EYEBALLS_S, loop=self._loop)
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        await self._loop.create_connection(
            lambda: connection,
            sock=sock,
            ssl=self._tls_context() if origin.secure else None,
            server_hostname=origin.host if origin.secure else None,
        )

    def _tls_context(self) -> ssl.SSLContext:
        """Made when it is first needed: to read the system's authorities takes memory and time."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._prepare(self._tls)
        return self._tls

    def _prepare(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(ALPN)
        self._sessions.offer(tls)


__all__ = ["Pool"]
