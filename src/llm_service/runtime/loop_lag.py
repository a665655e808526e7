"""How late the event loop is, from a timer that is to fire ten times a second."""

from collections import deque
from typing import Final

RECENT_S: Final = 1.0
LEAST: Final = 3
"""So many ticks count as recent at least, however long they took."""
WORST_OF_S: Final = 60.0


class LoopLag:
    """Seconds by which ticks came later than they should have."""

    __slots__ = ("_recent", "_worst")

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._worst: deque[tuple[float, float]] = deque()
        """Each later than the one before, and less late: the first is the worst of its time."""

    def note(self, late_s: float, *, now: float) -> None:
        """A tick came at ``now`` (monotonic seconds), so much too late."""
        recent, worst = self._recent, self._worst
        recent.append((now, late_s))
        while len(recent) > LEAST and recent[0][0] <= now - RECENT_S:
            recent.popleft()
        while worst and worst[-1][1] <= late_s:
            worst.pop()
        worst.append((now, late_s))
        while worst[0][0] <= now - WORST_OF_S:
            worst.popleft()

    @property
    def mean_s(self) -> float:
        """Of the last second."""
        return self._total_s / len(self._recent) if self._recent else 0.0

    @property
    def steady_s(self) -> float:
        """The same without its worst tick: one halt is over when it is noticed, and says nothing of what follows."""
        if len(self._recent) < LEAST:
            return 0.0
        return (self._total_s - max(late_s for _, late_s in self._recent)) / (len(self._recent) - 1)

    @property
    def worst_s(self) -> float:
        """Of the last minute."""
        return self._worst[0][1] if self._worst else 0.0

    @property
    def _total_s(self) -> float:
        return sum(late_s for _, late_s in self._recent)
