"""One operation of a client that may leave it, or be cut off, while it runs."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol, cast

from llm_service.api.graphql.context import Context
from llm_service.api.graphql.documents import Asked
from llm_service.api.graphql.engine import Engine, Refused
from llm_service.api.graphql.failures import Told, told
from llm_service.api.http_request import HungUp
from llm_service.api.leaving import GoesOn, Leaving
from llm_service.api.serving import Serving
from llm_service.domain import Draining, Inbox, LLMServiceError, StreamCancelled
from llm_service.streams import Stream

LEFT = "The reader has left."


class Outlet(Protocol):
    """Where the results of one operation go. Each waits for a client that is slow."""

    async def next(self, result: dict[str, Any]) -> None:
        """One result."""

    async def failed(self, errors: Sequence[Told]) -> None:
        """It ends with errors, and with nothing else."""

    async def complete(self) -> None:
        """It ends."""


class Watch:
    """A watch that the operation keeps itself, since it hears of its client's leaving."""

    def __init__(self, leaving: Leaving, stopped: Callable[[], None]) -> None:
        self.leaving = leaving
        self.stop = stopped


class Operation:
    """What its client, its key's revocation and a shutdown can end. It is the client that its fields know.

    ``opened``: it can always be told why it ends.
    """

    opened = True

    def __init__(self, serving: Serving) -> None:
        self.error: LLMServiceError | None = None
        self.gone = False
        self.caller_id = ""
        self._serving = serving
        self._task: asyncio.Task[None] | None = None
        self._leaving: Leaving | None = None
        self._inbox: Inbox | None = None
        self._stream: Stream | None = None
        self._tell_cut: Callable[[], object] | None = None
        self._told = False

    def begin(self, task: "asyncio.Task[None]") -> None:
        """The task runs it; a shutdown waits for it, and cuts it off at last."""
        self._task = task
        self._serving.begin(task)
        self._serving.writes(task, self)
        task.add_done_callback(self._serving.end)
        if self.gone:
            task.cancel()

    async def ended(self) -> None:
        """Wait until it has ended, whichever way."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    written = ended

    def leave(self) -> None:
        """Its client does not want it any more: nothing more is sent; idempotent."""
        if not self.gone:
            self.gone = True
            self._end(StreamCancelled(LEFT))

    def cut(self, error: LLMServiceError) -> None:
        """End it with this error; idempotent. Its client is told at once, also where the task goes on for others.

        With the service those end as well.
        """
        if self.error is None and not self.gone:
            self.error = error
            self._end(error)
            if self._goes_on and self._tell_cut is not None:
                self._tell_cut()
        elif isinstance(error, Draining) and self._goes_on and self._task is not None:
            self._task.cancel()

    def revoke(self, error: LLMServiceError) -> None:
        """Its key may do nothing any more: what it reads ends too, unless others read that."""
        if self._stream is not None:
            self._stream.cancel(error)
        self.cut(error)

    def _end(self, error: LLMServiceError) -> None:
        if self._inbox is not None:
            self._inbox.cut(error)
        elif self._leaving is not None and not isinstance(error, Draining):
            self._leaving.leave()
        elif self._task is not None:
            self._task.cancel()

    @property
    def _goes_on(self) -> bool:
        """Whether nothing but the wish of others, or to finish, keeps the task running."""
        leaving = self._leaving
        return leaving is not None and leaving.happened and not leaving.serving.cancelling()

    # -- what its fields know

    def over(self, serving: "asyncio.Task[Any]", goes_on: GoesOn) -> Watch:
        """Have its leaving told to this task."""
        self._leaving = leaving = Leaving(serving, goes_on)
        if self.gone or self.error is not None:
            leaving.leave()
        return Watch(leaving, self._stop)

    def _stop(self) -> None:
        self._leaving = None

    def reads(self, inbox: Inbox, stream: Stream) -> None:
        """From now on its end is told to the inbox, which has the events of this stream."""
        self._inbox = inbox
        self._stream = stream
        if self.gone or self.error is not None:
            inbox.cut(self.error or StreamCancelled(LEFT))

    # -- running it

    async def run(self, engine: Engine, asked: Asked, context: Context, outlet: Outlet) -> None:
        """Execute it, and send what comes of it."""
        self._tell_cut = lambda: context.calls.tasks.spawn(
            self._tell_error(context, outlet), name="tell why an operation ends"
        )
        try:
            await self._run(engine, asked, context, outlet)
        except asyncio.CancelledError:
            if self.error is None or self.gone:
                raise
            cast("asyncio.Task[None]", asyncio.current_task()).uncancel()
            await self._tell_error(context, outlet)
        except HungUp:
            await self._tell_error(context, outlet)
        except OSError:
            pass  # the client is gone
        except Exception as defect:  # noqa: BLE001 - whatever it is, the client is told
            await self._failed(engine.failed(defect, context), outlet)
        finally:
            self._tell_cut = None  # it holds this operation, which would be a cycle for the collector to find

    async def _run(self, engine: Engine, asked: Asked, context: Context, outlet: Outlet) -> None:
        try:
            prepared = engine.prepare(asked, request_id=context.request_id)
        except Refused as refused:
            await outlet.failed(refused.errors)
            return
        if prepared.kind.value != "subscription":
            result = await engine.execute(prepared, context)
            self._check_wanted()
            await outlet.next(result)
        else:
            async with aclosing(engine.subscribe(prepared, context)) as results:
                async for result in results:
                    self._check_wanted()
                    await outlet.next(result)
        self._check_wanted()
        await outlet.complete()

    def _check_wanted(self) -> None:
        """Raises HungUp where nothing more may be sent of what comes of it."""
        if self.gone or self.error is not None:
            raise HungUp

    async def _tell_error(self, context: Context, outlet: Outlet) -> None:
        if self.error is not None:
            with suppress(OSError):  # the client is gone
                await self._failed([told(self.error, request_id=context.request_id)], outlet)

    async def _failed(self, errors: Sequence[Told], outlet: Outlet) -> None:
        if not self.gone and not self._told:
            self._told = True
            await outlet.failed(errors)
