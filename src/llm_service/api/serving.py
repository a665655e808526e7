"""The requests of one door that are being answered, and how they end with the service."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast

from llm_service.domain import Draining, LLMServiceError
from llm_service.streams import Streams

Found = TypeVar("Found")


class Written(Protocol):
    """What writes an answer to a client."""

    opened: bool
    """The client has been told something: an error can only be the last of what it is told."""

    def cut(self, error: LLMServiceError) -> None:
        """End with this error."""

    async def written(self) -> None:
        """Wait until what was written last has been taken, or the client is gone."""


class Serving:
    """One task for each request. ``draining``: the error with which whatever is new is refused, once that is so.

    ``retired``: connections that outlive their requests are not to.
    """

    def __init__(self, streams: Streams) -> None:
        self.draining: Draining | None = None
        self.retired = False
        self._streams = streams
        self._answering: dict[asyncio.Task[None], Written | None] = {}
        self._standing: dict[Callable[[], None], None] = {}

    def begin(self, task: "asyncio.Task[None]") -> None:
        """The task answers a request; until ``end`` a shutdown waits for it."""
        self._answering[task] = None

    def writes(self, task: "asyncio.Task[None]", sink: Written) -> None:
        """Where the task's answer is written: it is cut with an error, where that has begun."""
        self._answering[task] = sink

    def sink(self, task: "asyncio.Task[None]") -> Written | None:
        """Where it writes, if it does."""
        return self._answering.get(task)

    def end(self, task: "asyncio.Task[None]") -> None:
        """It is answered; idempotent."""
        self._answering.pop(task, None)

    def stands(self, retire: Callable[[], None]) -> None:
        """A connection that outlives its requests is there: ``retire`` asks it to end when its last one does."""
        self._standing[retire] = None

    def fell(self, retire: Callable[[], None]) -> None:
        """It is gone; idempotent."""
        self._standing.pop(retire, None)

    def retire(self) -> None:
        """Ask the connections that outlive their requests to end: new settings answer from now on, or nothing does."""
        self.retired = True
        for retire in tuple(self._standing):
            retire()

    async def drain(self, grace_s: float, *, hurried: asyncio.Event) -> None:
        """Take nothing new; what still runs after ``grace_s``, or when hurried, ends with an error that says so."""
        self.draining = Draining("The service is shutting down; send the request again.", retry_after_s=1.0)
        self.retire()
        hurry = asyncio.ensure_future(hurried.wait())
        finished = asyncio.ensure_future(self._all_answered())
        await asyncio.wait({finished, hurry}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        hurry.cancel()
        for task, sink in tuple(self._answering.items()):
            if sink is not None and sink.opened:
                sink.cut(self.draining.again())
            else:
                task.cancel()
        self._streams.cancel_running(self.draining.again())

    async def _all_answered(self) -> None:
        """Until no request is being answered, and no stream runs for those who may resume it."""
        if self._answering:
            await asyncio.wait(tuple(self._answering))
        await self._streams.all_ended()

    async def before_the_end(self, awaited: Awaitable[Found]) -> Found:
        """What is still to come of a request, unless the grace of a shutdown ends before it. Raises Draining."""
        try:
            return await awaited
        except asyncio.CancelledError:
            if self.draining is None:
                raise
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
            raise self.draining.again() from None
