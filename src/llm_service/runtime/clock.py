"""Time, given to whoever needs it: wall clock, monotonic seconds, timers."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class TimerHandle(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Do not fire."""


class Clock(Protocol):
    """What a process knows of time."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""

    def time(self) -> float:
        """The wall clock in Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back on the event loop in so many seconds."""

    async def sleep(self, delay_s: float) -> None:
        """Wait for so many seconds."""


class SystemClock:
    """The clock of this machine."""

    __slots__ = ("monotonic", "time")

    def __init__(self) -> None:
        self.monotonic = time.monotonic
        self.time = time.time

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""
        return datetime.now(UTC)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back on the running event loop in so many seconds."""
        return asyncio.get_running_loop().call_later(delay_s, callback)

    async def sleep(self, delay_s: float) -> None:
        """Wait for so many seconds."""
        await asyncio.sleep(delay_s)
