"""One worker: it serves, tells its supervisor how that goes, and does as it is told."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Any, cast

from llm_service.api import Share
from llm_service.runtime import Clock, Stop, Tasks, keep_memory_low, settle_memory
from llm_service.supervisor.channel import Message, WorkersEnd
from llm_service.supervisor.edition import Edition, Generation, ReloadRefused
from llm_service.supervisor.graphs import ServedGraphs
from llm_service.supervisor.parcel import unpacked
from llm_service.supervisor.process import RENEW
from llm_service.supervisor.serving import Furnish, Post, serve_until


async def serve_as_worker(
    furnish: Furnish,
    *,
    number: int,
    share: Share,
    first: Edition,
    listening: Sequence[socket.socket],
    connection: socket.socket,
    clock: Clock,
) -> None:
    """Build, say that it is ready, serve, drain, close; what the supervisor says is done meanwhile."""
    stop, leave = Stop(), asyncio.Event()
    async with AsyncExitStack() as held:
        channel = await WorkersEnd.over(connection)
        held.push_async_callback(channel.aclose)
        _mind_signals(leave, channel)
        reload = AskedReload(channel)
        build = await furnish(held, Post(worker=number, reload=reload))
        graphs = ServedGraphs(await build(first), build, share=share)
        held.push_async_callback(graphs.aclose)
        orders = Orders(graphs, channel=channel, stop=stop, leave=leave, reload=reload)
        following = asyncio.get_running_loop().create_task(orders.follow())
        held.push_async_callback(_ended, following)
        tasks = Tasks(lambda work, failure: graphs.current.log.error("failed", work=work, exc_info=failure))
        held.push_async_callback(tasks.aclose)
        settle_memory()
        tasks.spawn(keep_memory_low(clock), name="memory")
        ready = partial(channel.say, "ready")
        await serve_until(stop, graphs, listening=listening, on_listening=ready, leave=leave)
    graphs.current.log.info("stopped")


class AskedReload:
    """Reloads through the supervisor, which does it on all workers. See :class:`Reload`."""

    def __init__(self, channel: WorkersEnd) -> None:
        self._channel = channel
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Generation]] = {}

    async def reload(self) -> Generation:
        """Ask the supervisor, and wait until it is done or refused."""
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._channel.say("reload", ask=number)
            generation: Generation = await answer
            return generation
        finally:
            del self._asked[number]

    def answered(self, message: Message) -> None:
        """The supervisor's word on one that was asked for."""
        answer = self._asked.get(message["ask"])
        if answer is None or answer.done():
            return
        if "reasons" in message:
            answer.set_exception(ReloadRefused(*message["reasons"]))
        else:
            at = datetime.fromisoformat(message["loaded_at"])
            answer.set_result(Generation(number=message["generation"], loaded_at=at))

    def lost(self) -> None:
        """The supervisor is gone."""
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ReloadRefused("the service is shutting down"))


class Orders:
    """Does what the supervisor says, one thing after the other; only to stop waits for nothing."""

    def __init__(
        self, graphs: ServedGraphs, *, channel: WorkersEnd, stop: Stop, leave: asyncio.Event, reload: AskedReload
    ) -> None:
        self._graphs = graphs
        self._channel = channel
        self._stop = stop
        self._leave = leave
        self._reload = reload
        self._preparing: asyncio.Task[None] | None = None
        self._orders = MappingProxyType[str, Callable[[Message], Awaitable[None]]](
            {
                "prepare": self._prepare,
                "commit": self._commit,
                "abort": self._abort,
                "leave": self._go,
                "stop": self._end,
                "hurry": self._hurry,
                "reloaded": self._tell,
            }
        )

    async def follow(self) -> None:
        """Until the supervisor is gone: then there is nobody to serve for."""
        try:
            async for message in self._channel.heard():
                await self._act_on(message)
        finally:
            self._reload.lost()
            await self._hurry({})
            await self._give_up()

    async def _act_on(self, message: Message) -> None:
        try:
            await self._orders[message["say"]](message)
        except Exception as defect:  # noqa: BLE001 - told, and no reason to stop serving
            tell = self._graphs.current.log.error
            tell("an order failed", order=message["say"], exc_info=defect)

    async def _prepare(self, message: Message) -> None:
        await self._give_up()
        self._preparing = asyncio.get_running_loop().create_task(self._build(message))

    async def _build(self, message: Message) -> None:
        try:
            if not (
                self._stop.asked.is_set() or self._leave.is_set()
            ):  # who is ending keeps what it has, and does not stand in the way
                await self._graphs.prepare(unpacked(message["edition"]))
        except ReloadRefused as refused:
            self._channel.say("cannot", attempt=message["attempt"], reasons=refused.reasons)
        except Exception as defect:  # noqa: BLE001 - the worker goes on with what it has
            tell = self._graphs.current.log.error
            tell("defect", exc_info=defect)
            reasons = ["the service failed on this; its log has the details"]
            self._channel.say("cannot", attempt=message["attempt"], reasons=reasons)
        else:
            self._channel.say("prepared", attempt=message["attempt"])

    async def _commit(self, message: Message) -> None:
        self._graphs.commit()
        self._channel.say("committed", attempt=message["attempt"])

    async def _abort(self, _: Message) -> None:
        await self._give_up()

    async def _give_up(self) -> None:
        if self._preparing is not None:
            await _ended(self._preparing)
            self._preparing = None
        await self._graphs.abort()

    async def _go(self, _: Message) -> None:
        self._leave.set()

    async def _end(self, _: Message) -> None:
        self._stop.asked.set()  # whether or not a signal has asked already: that is nobody's hurry

    async def _hurry(self, _: Message) -> None:
        self._stop.asked.set()
        self._stop.hurried.set()

    async def _tell(self, message: Message) -> None:
        self._reload.answered(message)


def _mind_signals(leave: asyncio.Event, channel: WorkersEnd) -> None:
    """SIGTERM ends this worker; what comes to all processes of a terminal is the supervisor's to act on."""

    def go() -> None:
        leave.set()
        channel.say("leaving")

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, go)
    for number in (signal.SIGINT, signal.SIGHUP, RENEW):
        loop.add_signal_handler(number, lambda: None)


async def _ended(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(cast("Awaitable[Any]", task), return_exceptions=True)
