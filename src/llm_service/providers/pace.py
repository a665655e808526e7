"""Whether a stream comes fast enough: a count of bytes, looked at a few times in a window of time."""

from collections import deque
from collections.abc import Callable
from typing import Final

from llm_service.runtime import Clock, TimerHandle

LOOKS: Final = 4
"""So often a window is looked at: a stream that becomes slow is found out after at most five quarters of a window."""
_ROUNDING_S: Final = 1e-6


class Pace:
    """Calls back with bytes per second when fewer than ``least`` came over the last ``over_s`` seconds of reading.

    Time between ``pause`` and ``resume`` does not count. ``count``: all the bytes by now.
    """

    __slots__ = ("_clock", "_count", "_every_s", "_least", "_looks", "_on_slow", "_paused_at", "_paused_s", "_timer")

    def __init__(
        self,
        clock: Clock,
        least: float,
        over_s: float,
        count: Callable[[], int],
        on_slow: Callable[[float], None],
    ) -> None:
        self._clock = clock
        self._least = least
        self._count = count
        self._on_slow = on_slow
        self._every_s = over_s / LOOKS
        self._paused_at: float | None = None
        self._paused_s = 0.0
        self._looks = deque([(clock.monotonic(), count())], maxlen=LOOKS + 1)
        self._timer: TimerHandle | None = clock.call_later(self._every_s, self._look)

    def pause(self) -> None:
        """Nothing is read from now on; idempotent."""
        if self._paused_at is None:
            self._paused_at = self._clock.monotonic()

    def resume(self) -> None:
        """Reading goes on; idempotent."""
        if self._paused_at is not None:
            self._paused_s += self._clock.monotonic() - self._paused_at
            self._paused_at = None
            if self._timer is None:
                self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read_until(self) -> float:
        """The present, on a clock that stands still in pauses."""
        now = self._clock.monotonic() if self._paused_at is None else self._paused_at
        return now - self._paused_s

    def _look(self) -> None:
        at, count = self._read_until(), self._count()
        since_s = at - self._looks[-1][0]
        if since_s < self._every_s - _ROUNDING_S:
            paused = self._paused_at is not None  # then ``resume`` looks again
            self._timer = None if paused else self._clock.call_later(self._every_s - since_s, self._look)
            return
        self._looks.append((at, count))
        began_at, before = self._looks[0]
        if len(self._looks) > LOOKS and count - before < self._least * (at - began_at):
            self._timer = None
            self._on_slow((count - before) / (at - began_at))
        else:
            self._timer = self._clock.call_later(self._every_s, self._look)
