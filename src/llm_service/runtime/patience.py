"""A time limit for somebody else's answer that our own busyness does not use up."""

import asyncio
from types import TracebackType
from typing import Final, Self

LOOKS: Final = 10
"""So often the event loop has had the chance to read an answer before it is given up."""


class Patience:
    """``async with Patience(seconds)``: raises TimeoutError as asyncio.timeout does, but counts time by the event loop.

    The time is waited for in ten parts, each begun when the loop has come to the end of the one before. An event loop
    that is busy for longer than the limit has not read an answer that may have come at once; this gives it ten rounds
    to do so. On a loop that is not busy it is the plain limit.
    """

    __slots__ = ("_left", "_loop", "_part_s", "_timeout", "_timer")

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._part_s = seconds / LOOKS
        self._left = LOOKS
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._timer = self._loop.call_later(self._part_s, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _look(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._part_s, self._look)
        else:
            self._timer = None
            self._timeout.reschedule(self._loop.time())
