"""The server: a loopback socket, its connections, and the simulated world behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from llm_service.sandbox.app import World
from llm_service.sandbox.connection import Connection
from llm_service.sandbox.messages import Reply, Request

DEFAULT_PACE_S = 0.01


class Sandbox:
    """Simulated upstreams over real HTTP: OpenRouter, DeepSeek and a plain OpenAI-compatible server.

    `pace_s` is the default time between the chunks of a stream, `now` the wall clock for `created` and ids.
    """

    def __init__(self, seed: int = 0, *, pace_s: float = DEFAULT_PACE_S, now: Callable[[], float] = time.time) -> None:
        self._world = World(seed=seed, now=now, pace_s=pace_s)
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._address = ""

    @property
    def address(self) -> str:
        """Base address, such as http://127.0.0.1:43121; raises RuntimeError before the start."""
        if not self._address:
            raise RuntimeError("the sandbox has not been started")
        return self._address

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; port 0 takes a free one. Returns the base address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=2048)
        bound = self._server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self._address = f"http://{shown}:{bound[1]}"
        return self._address

    async def aclose(self) -> None:
        """Stop listening and drop all connections. May be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in tuple(self._connections):
            connection.close()
        while self._connections:
            await asyncio.sleep(0)

    async def __aenter__(self) -> Sandbox:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # -- what connections need

    def answer(self, request: Request) -> Reply:
        """The reply to one request."""
        return self._world.answer(request)

    def opened(self, connection: Connection) -> None:
        """A client has connected."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)


async def serve_forever(host: str = "127.0.0.1", port: int = 8090, seed: int = 0) -> None:
    """Serve until cancelled."""
    sandbox = Sandbox(seed)
    await sandbox.start(host, port)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await sandbox.aclose()
