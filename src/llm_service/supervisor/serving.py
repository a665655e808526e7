"""A process that serves: from its graph to its last response, alone or as one of several workers."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from llm_service.domain import fact
from llm_service.observability import Log
from llm_service.runtime import Clock, Stop, Tasks, Terminal, keep_memory_low, settle_memory
from llm_service.supervisor.edition import Edition, Read, ReloadRefused
from llm_service.supervisor.graphs import Build, Graph, Graphs, HostedGraphs, ServedGraphs
from llm_service.supervisor.process import RENEW
from llm_service.supervisor.reload import LocalReload, Reload, tell_refused


@fact
class Post:
    """What a process that serves is told of its place."""

    worker: int | None
    """Its number among several workers, from 1; None when it serves alone."""
    reload: Reload


Furnish = Callable[[AsyncExitStack, Post], Awaitable[Build]]
"""Prepares, once a process, what all its graphs share and what lasts as long as the stack."""


async def serve_alone(
    furnish: Furnish,
    *,
    first: Edition,
    read: Read,
    listening: Sequence[socket.socket],
    clock: Clock,
    terminal: Terminal,
    announce: Callable[[Graph], None],
) -> Log:
    """Build, serve, drain, close; SIGHUP reloads. The log that was in use at the end.

    ``listening``: everybody's socket, and the operators' one where they have one.
    """
    stop = Stop.by_signals()
    reload = LocalReload(read, clock=clock)
    async with AsyncExitStack() as held:
        build = await furnish(held, Post(worker=None, reload=reload))
        graphs = reload.graphs = ServedGraphs(await build(first), build)
        held.push_async_callback(graphs.aclose)
        tasks = Tasks(lambda work, failure: graphs.current.log.error("failed", work=work, exc_info=failure))
        held.push_async_callback(tasks.aclose)
        hang_up = _HangUp(graphs, reload=reload, stop=stop, tasks=tasks, terminal=terminal)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up.signalled)
        asyncio.get_running_loop().add_signal_handler(RENEW, tell_not_renewed, graphs)
        announce(graphs.current)
        settle_memory()
        tasks.spawn(keep_memory_low(clock), name="memory")
        await serve_until(stop, graphs, listening=listening)
    return graphs.current.log


@asynccontextmanager
async def serve_hosted(furnish: Furnish, *, first: Edition, read: Read, clock: Clock) -> AsyncIterator[HostedGraphs]:
    """The service inside another server: built on the way in, drained and closed on the way out.

    Signals, connections and what libraries log are the server's. What still runs on the way out has
    ``server.shutdown_grace_s`` to finish.
    """
    reload = LocalReload(read, clock=clock)
    async with AsyncExitStack() as held:
        build = await furnish(held, Post(worker=None, reload=reload))
        graphs = reload.graphs = HostedGraphs(await build(first), build)
        held.push_async_callback(graphs.aclose)
        try:
            yield graphs
        finally:
            grace_s = graphs.current.edition.loaded.settings.server.shutdown_grace_s
            await graphs.drain(grace_s, hurried=asyncio.Event())


async def serve_until(
    stop: Stop,
    graphs: ServedGraphs,
    *,
    listening: Sequence[socket.socket],
    on_listening: Callable[[], None] | None = None,
    leave: asyncio.Event | None = None,
) -> None:
    """Serve; when asked to stop take nothing new, let running requests finish, and end.

    ``leave`` asks for the end of this process alone, while others serve on: clients go over to them before it ends.
    """
    server = graphs.server
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=[*listening]))
    if on_listening is not None:
        begun = loop.create_task(server.listening.wait())
        await asyncio.wait({serving, begun}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        on_listening()
    waiting = [loop.create_task(event.wait()) for event in (stop.asked, leave) if event is not None]
    await asyncio.wait({serving, *waiting}, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
    grace_s = graphs.current.edition.loaded.settings.server.shutdown_grace_s
    if leave is not None and leave.is_set() and not stop.asked.is_set():
        graphs.current.log.info("leaving", grace_s=grace_s)
        await graphs.leave(grace_s, until=stop.asked)
    graphs.current.log.info("draining", grace_s=grace_s)
    await graphs.drain(grace_s, hurried=stop.hurried)
    server.should_exit = True
    await serving


def tell_not_renewed(graphs: Graphs) -> None:
    """Log why nothing is done: there is nobody to take over."""
    graphs.current.log.warning("not renewed", reason="this process serves alone: restart the service")


class _HangUp:
    """SIGHUP: a reload; the end, when it came because the terminal is gone."""

    def __init__(self, graphs: Graphs, *, reload: LocalReload, stop: Stop, tasks: Tasks, terminal: Terminal) -> None:
        self._graphs = graphs
        self._reload = reload
        self._stop = stop
        self._tasks = tasks
        self._terminal = terminal

    def signalled(self) -> None:
        if self._terminal.is_gone:
            self._stop.ask()
        else:
            self._tasks.spawn(self._try(), name="reload")

    async def _try(self) -> None:
        try:
            await self._reload.reload()
        except ReloadRefused as refused:
            current = self._graphs.current
            tell_refused(current.log, refused, generation=current.edition.generation.number)
