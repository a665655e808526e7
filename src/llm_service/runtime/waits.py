"""Many waits of the same length behind one timer: a timer of the event loop costs more than what it is for."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from llm_service.runtime.clock import Clock, TimerHandle

_ROUNDING_S: Final = 1e-6

T = TypeVar("T")


class Waits(Generic[T]):
    """Calls back for everybody who has waited ``wait_s`` seconds and has not been taken out meanwhile.

    All wait equally long, so they fall due in the order of coming, and one timer for the first is enough. It is not
    called off when that one is taken out: when it fires, it is set for whoever is first then.
    """

    __slots__ = ("_clock", "_due", "_on_due", "_timer", "_wait_s")

    def __init__(self, clock: Clock, wait_s: float, on_due: Callable[[T], None]) -> None:
        self._clock = clock
        self._wait_s = wait_s
        self._on_due = on_due
        self._due: dict[T, float] = {}
        self._timer: TimerHandle | None = None

    def begin(self, who: T) -> None:
        """Wait from now on; who waits already may not."""
        self._due[who] = self._clock.monotonic() + self._wait_s
        if self._timer is None:
            self._timer = self._clock.call_later(self._wait_s, self._look)

    def end(self, who: T) -> None:
        """Wait no more; whoever does not wait is left alone."""
        self._due.pop(who, None)

    def close(self) -> None:
        """Call the timer off, unless somebody still waits."""
        if self._timer is not None and not self._due:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        due, now = self._due, self._clock.monotonic()
        try:
            while due and next(iter(due.values())) <= now + _ROUNDING_S:
                who = next(iter(due))
                del due[who]
                self._on_due(who)
        finally:  # and not before: who begins anew, or raises, keeps none of those who come first waiting
            self._timer = None
            if due:
                self._timer = self._clock.call_later(max(next(iter(due.values())) - now, 0.0), self._look)
