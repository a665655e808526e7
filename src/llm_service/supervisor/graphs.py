"""The service graphs of one process: the one that answers, one that is being prepared, and those that finish."""

import asyncio
import logging
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from llm_service.api import HttpServer, Share
from llm_service.bootstrap import Service
from llm_service.domain import InvalidRequest
from llm_service.observability import LibraryLog, Log
from llm_service.runtime import room_for_connections
from llm_service.supervisor.edition import Edition, ReloadRefused

LAST_WORDS_S: Final = 5.0
"""What is written of an answer when its request is over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """One service, built from one edition of the settings, and where it logs.

    ``tls``: what connections are made with that come while it answers, where the ports speak TLS.
    """

    edition: Edition
    service: Service
    log: Log
    tls: ssl.SSLContext | None = None


Build = Callable[[Edition], Awaitable[Graph]]
"""Builds a graph beside those that are there. May raise anything."""


class Switch:
    """The ASGI application of the server: hands each request to the application that is there when it begins."""

    __slots__ = ("app",)

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """No coroutine of its own: it would be passed through with every event of a stream."""
        answer: Awaitable[None] = self.app(scope, receive, send)
        return answer


class Graphs(ABC):
    """Changes the graph that answers without a moment in which none does.

    A request is answered to its end by the graph that it met, which is closed when the last of its requests has ended.
    """

    def __init__(self, first: Graph, build: Build) -> None:
        self.current = first
        self._build = build
        self._switch = Switch(first.service.app)
        self._prepared: Graph | None = None
        self._finishing: dict[Graph, asyncio.Task[None]] = {}
        self._ending = False

    @property
    @abstractmethod
    def requests(self) -> frozenset["asyncio.Task[None]"]:
        """The tasks of the requests that are being answered now."""

    async def prepare(self, edition: Edition) -> None:
        """Build the graph of these settings beside the current one. Raises ReloadRefused."""
        if self._ending:
            raise ReloadRefused("the service is shutting down")
        try:
            prepared = await self._build(edition)
        except Exception as failure:
            self.current.service.hold()
            self._tell("cannot build", edition, failure)
            raise ReloadRefused(f"the service cannot be built: {type(failure).__name__}: {failure}") from failure
        self._prepared = prepared

    def commit(self) -> bool:
        """Let the prepared graph answer from the next request on, also in connections that are open.

        Whether it does: a process that is draining keeps what it has.
        """
        if self._prepared is None or self._ending:
            return False
        old, self.current, self._prepared = self.current, self._prepared, None
        self._switch.app = self.current.service.app
        self.current.service.took_over()
        old.service.serving.retire()
        self._finishing[old] = asyncio.get_running_loop().create_task(self._finish(old, self.requests))
        return True

    async def abort(self) -> None:
        """Give up what is prepared, if anything is."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            self.current.service.hold()
            await prepared.service.aclose()

    @property
    def _services(self) -> list[Service]:
        return [self.current.service, *(graph.service for graph in self._finishing)]

    async def drain(self, grace_s: float, *, hurried: asyncio.Event) -> None:
        """Take nothing new in any graph; what runs may go on for so long, unless hurried."""
        self._ending = True
        for service in self._services:
            service.health.draining = True
        await asyncio.gather(*(service.serving.drain(grace_s, hurried=hurried) for service in self._services))

    async def aclose(self) -> None:
        """Close all graphs; no request may be running any more."""
        await self.abort()
        for graph in tuple(self._finishing):
            await graph.service.tasks.aclose()  # what goes on without a client ends with the service
        await asyncio.gather(*self._finishing.values())
        await self.current.service.aclose()

    async def _finish(self, graph: Graph, requests: frozenset["asyncio.Task[None]"]) -> None:
        """Close the graph once its requests have ended, whatever becomes of them."""
        try:
            if requests:
                await asyncio.wait(requests)
            await graph.service.unsettled.empty()  # what goes on for others, or to be resumed
            await graph.service.aclose()
        except Exception as failure:  # noqa: BLE001 - nobody waits for it but the shutdown, which must go on
            self._tell("cannot close", graph.edition, failure)
        finally:
            del self._finishing[graph]

    def _tell(self, event: str, edition: Edition, failure: Exception) -> None:
        self.current.log.error(event, generation=edition.generation.number, exc_info=failure)


class ServedGraphs(Graphs):
    """Those of a process that has its own server.

    ``share``: this process's part of the connections, where others take them from the same socket as well.
    """

    def __init__(self, first: Graph, build: Build, *, share: Share | None = None) -> None:
        super().__init__(first, build)
        tls = None if first.tls is None else (lambda: self.current.tls)
        self.server = HttpServer(
            self._switch,
            refused=self._refused,
            share=share,
            tls=tls,
            most_connections=self._most_connections,
            lane=lambda: self.current.service.lane,
        )
        _send_libraries_to(first.log)

    @property
    def requests(self) -> frozenset["asyncio.Task[None]"]:
        """The tasks of the requests that are being answered now."""
        return self.server.requests

    def commit(self) -> bool:
        """The same; what libraries log goes where the new graph logs."""
        committed = super().commit()
        if committed:
            _send_libraries_to(self.current.log)
        return committed

    async def leave(self, within_s: float, *, until: asyncio.Event) -> None:
        """Let other processes take what is new, and wait so long, or until then, for those who are served here.

        What is asked over connections that are open is answered: their clients have not been told anything yet.
        """
        self._ending = True
        for service in self._services:
            service.serving.retire()
        left = asyncio.ensure_future(self.server.leave())
        told = asyncio.ensure_future(until.wait())
        await asyncio.wait({left, told}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (left, told):
            waiting.cancel()
        if until.is_set():
            self.server.stay()

    def _most_connections(self) -> int:
        return min(self.current.edition.loaded.settings.server.max_connections, room_for_connections())

    def _refused(self, error: InvalidRequest) -> str:
        """What is no request is noted where the current graph logs."""
        return self.current.service.refused(error)


class HostedGraphs(Graphs):
    """Those of an application inside another's server, which calls it for each request."""

    def __init__(self, first: Graph, build: Build) -> None:
        super().__init__(first, build)
        self._requests: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> frozenset["asyncio.Task[None]"]:
        """The tasks of the requests that are being answered now."""
        return frozenset(self._requests)

    async def drain(self, grace_s: float, *, hurried: asyncio.Event) -> None:
        """The same; what is then on its way out has a moment: there is no server here that waits for it."""
        await super().drain(grace_s, hurried=hurried)
        if self._requests:
            await asyncio.wait(self._requests, timeout=LAST_WORDS_S)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or one WebSocket, by the graph that is there when it begins."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._requests.add(task)
        try:
            await self._switch(scope, receive, send)
        finally:
            self._requests.discard(task)


def _send_libraries_to(log: Log) -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[LibraryLog(log)], force=True)
