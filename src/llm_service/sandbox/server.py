"""The server: a loopback socket, its connections, and the simulated world behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from llm_service.runtime import Clock, SystemClock
from llm_service.sandbox.app import World
from llm_service.sandbox.connection import Connection
from llm_service.sandbox.messages import Json, Reply, Request

DEFAULT_PACE_S: Final = 0.01
BACKLOG: Final = 2048


class Sandbox:
    """Simulated upstreams over real HTTP: OpenRouter, DeepSeek and a plain OpenAI-compatible server.

    The same seed and the same request give the same answer. `pace_s` is the time between the chunks of a stream.
    """

    def __init__(self, seed: int = 0, *, pace_s: float = DEFAULT_PACE_S, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self._world = World(seed=seed, clock=self.clock, pace_s=pace_s)
        self._connections: set[Connection] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._server: asyncio.Server | None = None
        self._address = ""

    @property
    def address(self) -> str:
        """Base address, such as http://127.0.0.1:43121; raises RuntimeError before the start."""
        if not self._address:
            raise RuntimeError("the sandbox has not been started")
        return self._address

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; port 0 takes a free one. Returns the base address. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=BACKLOG)
        name, number = self._server.sockets[0].getsockname()[:2]
        self._address = f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
        return self._address

    async def aclose(self) -> None:
        """Stop listening and drop all connections. May be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in tuple(self._connections):
            connection.close()
        await self._idle.wait()

    async def __aenter__(self) -> Sandbox:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # The control endpoints, for whoever lives in the same process.

    def script(
        self, behaviour: str | Mapping[str, Any], *, times: int | None = None, match: Mapping[str, str] | None = None
    ) -> None:
        """Add a rule, as `POST /_control` does; raises ValueError for what it does not understand."""
        self._world.control.add({"match": dict(match or {}), "behaviour": behaviour, "times": times})

    def reset(self) -> None:
        """Forget all rules and all requests."""
        self._world.forget_rules()
        self._world.journal.forget()

    def requests(self) -> list[Json]:
        """What `GET /_requests` shows."""
        return [entry.describe() for entry in self._world.journal.entries()]

    def stats(self) -> Json:
        """What `GET /_stats` shows."""
        return self._world.journal.stats()

    # What connections need.

    def answer(self, request: Request) -> Reply:
        """The reply to one request."""
        return self._world.answer(request)

    def opened(self, connection: Connection) -> None:
        """A client has connected."""
        self._connections.add(connection)
        self._idle.clear()

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._idle.set()
