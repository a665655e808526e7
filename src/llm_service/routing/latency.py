"""How long a deployment took lately: a figure that is quick to rise and slow to forget, and quantiles of the latest."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

_FORGOTTEN: Final = 3.0
"""Time constants after which a figure says nothing any more: a twentieth of it would be left."""


class PeakEwma:
    """A moving average that jumps to every peak: what was slow just now is taken for slow at once.

    It comes down with time: by lower figures that follow, each the heavier the longer it is after the one before
    (exponential weights), and where none follows by itself, so that whoever was slow is tried again. Seconds
    throughout; moments are monotonic. After Finagle's ``Balancers.p2cPeakEwma`` (twitter/finagle, PeakEwma.scala) and
    Linkerd's (tower ``load::PeakEwma``).
    """

    __slots__ = ("_at", "_decay_s", "_seconds")

    def __init__(self, decay_s: float = 10.0) -> None:
        """``decay_s``: the time constant; after it 37 % of a figure is left."""
        self._decay_s = decay_s
        self._seconds = 0.0
        self._at = -math.inf

    def observe(self, seconds: float, now: float) -> None:
        """Something took so long."""
        before = self._seconds
        if seconds >= before:
            self._seconds = seconds
        else:
            self._seconds = seconds + (before - seconds) * self._kept(now)
        self._at = now

    def value(self, now: float) -> float:
        """What it takes, in seconds; 0.0 before the first figure, and three time constants after the last one."""
        return self._seconds * self._kept(now)

    def _kept(self, now: float) -> float:
        """Which part of the average still counts."""
        age = (now - self._at) / self._decay_s
        if age <= 0.0:
            return 1.0
        return math.exp(-age) if age < _FORGOTTEN else 0.0


class RecentTimes:
    """The latest times that something took, bounded in number and age.

    Adding is cheap, for it is done with each request; who asks pays for the sorting, 20 µs when there is something new.
    """

    __slots__ = ("__weakref__", "_by_size", "_lasts_s", "_least", "_times")

    def __init__(self, *, most: int = 256, lasts_s: float = 60.0, least: int = 20) -> None:
        """At most ``most`` times, at most ``lasts_s`` old; fewer than ``least`` say nothing."""
        self._lasts_s = lasts_s
        self._least = least
        self._times: deque[tuple[float, float]] = deque(maxlen=most)
        self._by_size: list[float] | None = None

    def __len__(self) -> int:
        return len(self._times)

    def add(self, seconds: float, now: float) -> None:
        """Something took so long, as of this moment (monotonic seconds)."""
        self._times.append((now, seconds))
        self._by_size = None

    def quantile(self, q: float, now: float) -> float | None:
        """The least time, in seconds, that a share ``q`` (0 to 1) of them did not exceed; ``None`` with too few.

        By nearest rank: always a time that was seen.
        """
        times = self.seen(now)
        count = len(times)
        if not count or count < self._least:
            return None
        return times[max(math.ceil(q * count), 1) - 1]

    def seen(self, now: float) -> Sequence[float]:
        """All of them in seconds, the least first."""
        times, since = self._times, now - self._lasts_s
        while times and times[0][0] < since:
            times.popleft()
            self._by_size = None
        if self._by_size is None:
            self._by_size = sorted(seconds for _, seconds in times)
        return self._by_size
