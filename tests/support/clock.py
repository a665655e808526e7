"""Clocks that are turned, or stopped, by hand."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from llm_service.runtime import SystemClock


class ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """Time stands still until ``advance``; timers fire in the order of their moments.

    ``set_back`` moves the wall clock alone: what is monotonic goes on.
    """

    def __init__(self) -> None:
        self._seconds = 1000.0
        self._back_s = 0.0
        self._order = count()
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self._seconds - self._back_s)

    def time(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return self._seconds

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(callback)
        heapq.heappush(self._timers, (self._seconds + delay_s, next(self._order), timer))
        return timer

    async def sleep(self, delay_s: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay_s, lambda: woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    @property
    def timers(self) -> int:
        """How many are still to fire."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def set_back(self, seconds: float) -> None:
        """Correct the wall clock; no time passes."""
        self._back_s += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass, and fire what falls due on the way."""
        until = self._seconds + seconds
        while self._timers and self._timers[0][0] <= until:
            self._seconds, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()
        self._seconds = until


class StoppableClock(SystemClock):
    """The clock of this machine. While it is stopped no sleep begins: an upstream that has it pauses without end.

    So a test can wait until all have asked, however long that takes, before anybody is answered.
    """

    __slots__ = ("_goes",)

    def __init__(self) -> None:
        super().__init__()
        self._goes = asyncio.Event()
        self._goes.set()

    def stop(self) -> None:
        self._goes.clear()

    def go_on(self) -> None:
        self._goes.set()

    async def sleep(self, delay_s: float) -> None:
        await self._goes.wait()
        await super().sleep(delay_s)
