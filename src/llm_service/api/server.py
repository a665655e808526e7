"""The HTTP server around the doors: uvicorn with our own connections, and signals left to the caller."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial
from heapq import nsmallest
from typing import Any, Final

import uvicorn

from llm_service.api.accepting import Share, SharedAcceptor, Shares, Tls
from llm_service.api.client import NO_LANE, Lane
from llm_service.api.connection import Connection, Refused
from llm_service.api.hot_request import KNOWN_SERVERS, FastLane
from llm_service.api.http_request import AT_ADMIN_PORT
from llm_service.api.tls import STRICT_TRANSPORT
from llm_service.runtime import Turn

BACKLOG: Final = 2048
UNSENT_BYTES: Final = 128 * 1024
"""So much the system takes for a client beyond what is under way to it. More would be kept twice for one that reads
nothing, there and in the log of its stream, and makes nothing faster: tcp(7), Linux' default are megabytes."""
IDLE_CONNECTION_S: Final = 75
LAST_WRITES_S: Final = 5
LOOK_S: Final = 0.05
MOST_CONNECTIONS: Final = 10_000
ROOM: Final = 16
"""One in so many connections is given up at once where there are too many: each time all of them are looked at."""
EVERY_RESPONSE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""What browsers are told with every response, whatever it is: that of a page, an error, or no HTTP at all. None says
what serves here. What pages may load is theirs to say (``content-security-policy``)."""


class HttpServer(uvicorn.Server):
    """Serves an ASGI application. Signals are the caller's: set ``should_exit`` to end it.

    Of several sockets the first is everybody's; scopes of the others say that they come from the operators' port.
    ``refused`` is told of what is no HTTP, which the application never sees. ``share``: this process's part of the
    connections, where others listen on the sockets as well. ``tls``: where connections are encrypted, with what those
    are that come from now on. ``most_connections``: where there are more, those who are silent go, the longest silent
    ones first; where nobody is silent, who comes last. ``lane``: the hot routes that are in force, for requests that
    can do without ASGI; none are answered so where uvicorn is of a version that we do not know.
    """

    def __init__(
        self,
        app: Any,
        *,
        refused: Refused,
        share: Share | None = None,
        tls: Tls | None = None,
        most_connections: Callable[[], int] = lambda: MOST_CONNECTIONS,
        lane: Callable[[], Lane] = lambda: NO_LANE,
    ) -> None:
        said = EVERY_RESPONSE if tls is None else (*EVERY_RESPONSE, STRICT_TRANSPORT)
        fast = FastLane(lane) if uvicorn.__version__ in KNOWN_SERVERS else None
        connection = partial(Connection, refused=refused, begun=self._make_room, lane=fast, turn=Turn())
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                loop="none",
                http=connection,  # type: ignore[arg-type]  # what makes one does as well as its class
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=IDLE_CONNECTION_S,
                timeout_graceful_shutdown=LAST_WRITES_S,
                headers=[(name.decode(), value.decode()) for name, value in said],
            )
        )
        self.listening = asyncio.Event()
        self._share = share
        self._tls = tls
        self._most_connections = most_connections
        self._leaving = False
        self._acceptors: list[SharedAcceptor] = []

    @property
    def requests(self) -> frozenset["asyncio.Task[None]"]:
        """The tasks of the requests that are being answered now."""
        return frozenset(self.server_state.tasks)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections, and say so by ``listening``."""
        listening = sockets or []
        if self._share is not None or self._tls is not None or len(listening) > 1:
            await self.lifespan.startup()
            share = self._share or Shares(1).of(1)
            self._acceptors = [
                SharedAcceptor(
                    one,
                    partial(self._connection, {} if number == 0 else {AT_ADMIN_PORT: True}),
                    share=share,
                    connections=self._open,
                    tls=self._tls or (lambda: None),
                )
                for number, one in enumerate(listening)
            ]
            self.servers = [*self._acceptors]  # type: ignore[list-item]
            self.started = True
        else:
            await super().startup(sockets)
        self.listening.set()

    async def leave(self) -> None:
        """Leave new connections to the other processes, and wait until the clients that are there have gone to them.

        What is asked over open connections is answered, and the answer says that the connection closes.
        """
        self._leaving = True
        for acceptor in self._acceptors:
            acceptor.close()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.leave()
        for acceptor in self._acceptors:
            await acceptor.wait_closed()
        while self.server_state.connections:  # noqa: ASYNC110 - a set of the server's library
            await asyncio.sleep(LOOK_S)

    def stay(self) -> None:
        """Take connections again: there are no others any more who would."""
        for acceptor in self._acceptors:
            acceptor.open()

    def _make_room(self, newest: Connection) -> None:
        """One more is there: where it is one too many, some of those for whom nothing is done go."""
        connections = self.server_state.connections
        most = self._most_connections()
        if len(connections) <= most:
            return
        silent = [one for one in connections if isinstance(one, Connection) and one is not newest and one.waits]
        if not silent:
            newest.give_up()
        for one in nsmallest(max(1, most // ROOM), silent, key=_heard_at):
            one.give_up()

    def _open(self) -> int:
        return len(self.server_state.connections)

    def _connection(self, told: dict[str, Any]) -> asyncio.Protocol:
        """``told``: what the scopes of its requests say in their state."""
        made: Connection = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=self.config, server_state=self.server_state, app_state={**self.lifespan.state, **told}
        )
        if self._leaving:
            made.leave()
        return made

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _heard_at(connection: Connection) -> float:
    return connection.heard_at


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the address. Raises OSError when it is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not host.replace(".", "").isdigit() and ":" not in host:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    # Named as TCP: asyncio sends small writes at once (TCP_NODELAY) only where the socket says what it is.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # what it accepts has it from here
            with contextlib.suppress(OSError):  # a system that knows the name alone: nothing depends on it
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
