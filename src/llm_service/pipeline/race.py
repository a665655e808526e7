"""A second attempt beside one that is late: whichever gives its first content first is the answer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from llm_service.domain import LLMServiceError
from llm_service.runtime import Clock, Tasks


class Closing(Protocol):
    """What an attempt ends with."""

    async def aclose(self) -> None:
        """Give it up."""


Answer = TypeVar("Answer", bound=Closing)


async def race(
    first: Coroutine[Any, Any, Answer],
    second: Callable[[], Coroutine[Any, Any, Answer]],
    *,
    delay_s: float,
    clock: Clock,
    tasks: Tasks,
) -> tuple[int, Answer]:
    """The reply that came first, and whose it is: 0 or 1. ``second`` is called if ``first`` gives nothing in time.

    An attempt ends with its reply at the first content, or raises; cancelled, it closes what it has opened. Exactly one
    reply comes out: before this returns the other attempt was cancelled and has ended, and a reply that it gave all the
    same is closed. ``second`` may raise LLMServiceError instead of making an attempt: then there is none.

    Raises what the first attempt raised when no reply comes: at once while it is alone, else when both have failed.
    Other failures than an LLMServiceError that are not raised are reported. Cancelling the caller cancels both.
    """
    return await _Race[Answer](tasks).run(first, second, delay_s=delay_s, clock=clock)


class _Race(Generic[Answer]):
    """Who wins is decided where a reply comes in, without waiting: there is one winner, whatever comes together."""

    __slots__ = ("_failures", "_keeping", "_news", "_over", "_running", "_tasks", "_won")

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._running: list[asyncio.Task[Any]] = []
        self._failures: dict[int, BaseException] = {}
        self._won: tuple[int, Answer] | None = None
        self._keeping: set[int] = set()
        """Attempts that have a reply; whoever has one that lost is closing it, and is not disturbed."""
        self._over = False
        self._news: asyncio.Future[None] | None = None

    async def run(
        self,
        first: Coroutine[Any, Any, Answer],
        second: Callable[[], Coroutine[Any, Any, Answer]],
        *,
        delay_s: float,
        clock: Clock,
    ) -> tuple[int, Answer]:
        try:
            self._begin(first)
            await self._first_alone(delay_s, clock)
            if self._won is None and not self._failures:
                self._begin_second(second)
                await self._both()
            await self._end_losers()
        except asyncio.CancelledError:
            await self._give_up()
            raise
        if self._won is None:
            raise self._failures[0]
        return self._won

    # -- the attempts

    def _begin(self, attempt: Coroutine[Any, Any, Answer]) -> None:
        number = len(self._running)
        self._running.append(self._tasks.spawn(self._run(number, attempt), name="attempt"))

    def _begin_second(self, second: Callable[[], Coroutine[Any, Any, Answer]]) -> None:
        try:
            attempt = second()
        except LLMServiceError as refused:
            self._failures[1] = refused
        else:
            self._begin(attempt)

    async def _run(self, number: int, attempt: Coroutine[Any, Any, Answer]) -> None:
        try:
            reply = await attempt
        except asyncio.CancelledError as cancelled:
            self._failed(number, cancelled)
            raise
        except Exception as failure:  # noqa: BLE001 - raised to the caller, or reported
            self._failed(number, failure)
        else:
            self._keeping.add(number)
            if self._won is None and not self._over:
                self._won = number, reply
                self._tell()
            else:
                await reply.aclose()

    def _failed(self, number: int, failure: BaseException) -> None:
        self._failures[number] = failure
        self._tell()

    # -- the caller

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _wait(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    async def _first_alone(self, delay_s: float, clock: Clock) -> None:
        timer = clock.call_later(delay_s, self._tell)
        try:
            await self._wait()
        finally:
            timer.cancel()

    async def _both(self) -> None:
        """Until one has won, or both have failed."""
        while self._won is None and len(self._failures) < 2:
            await self._wait()

    async def _end_losers(self) -> None:
        """Cancel whoever still runs, once, and wait until all have ended."""
        if not self._over:
            self._over = True
            for number, task in enumerate(self._running):
                if number not in self._keeping:
                    task.cancel()
        running = [task for task in self._running if not task.done()]
        if running:
            await asyncio.wait(running)
        self._report()

    async def _give_up(self) -> None:
        """The caller is cancelled: so are the attempts, and nobody takes what they gave."""
        won, self._won = self._won, None
        if won is not None:  # by a task: whoever cancels twice does not leave it open
            self._keeping.add(len(self._running))
            self._running.append(self._tasks.spawn(won[1].aclose(), name="close a reply"))
        await self._end_losers()

    def _report(self) -> None:
        """Tell of defects that nobody will be raised."""
        for number, failure in self._failures.items():
            is_raised = number == 0 and self._won is None
            if not is_raised and not isinstance(failure, LLMServiceError | asyncio.CancelledError):
                self._tasks.report("attempt", failure)
