"""How many requests at once a provider takes well, found out from how soon it begins to answer."""

from math import sqrt
from typing import Final

FLOOR: Final = 4
CEILING: Final = 1000
MIN_WINDOW_S: Final = 1.0
MAX_WINDOW_S: Final = 10.0
ENOUGH: Final = 20
"""Times in a window below which it says little, unless it has lasted for ``MAX_WINDOW_S``."""
TOLERANCE: Final = 1.5
"""So many times the usual time is not yet a queue: prompts differ."""
STEEPEST: Final = 0.5
BELOW: Final = 0.8
"""How far below the bound that seems right one goes first, to see the time that is not our own doing."""
BACK_OFF: Final = 0.9
"""What is left of the bound after a window in which the provider refused something for its load."""
FALL: Final = 0.25
RISE: Final = 0.3
CREEP: Final = 0.02
"""How fast the usual time follows a shorter one; a longer one, where that is not our doing; and one that may be."""


class AdaptiveBound:
    """A gradient limiter with multiplicative decrease, in the manner of Netflix's concurrency-limits.

    Once for each window of a second or more, the mean time to the first content is held against the usual one. Up to
    ``TOLERANCE`` times that, the bound grows by its square root (at first, and when it comes from its floor, twofold);
    beyond, it shrinks by the gradient of the two, by half at most. It stays while less than half of it is used.
    (github.com/Netflix/concurrency-limits: ``Gradient2Limit``, ``WindowedLimit`` and, for failures, ``AIMDLimit``, read
    2026-11; "Performance Under Load", Netflix Technology Blog, 2018.)

    Two things differ. Only requests that began in the window count, so that what was begun under another bound is not
    held against this one. And the usual time is no plain average, which a long overload takes up with it, and the bound
    after it: it follows shorter times fast and longer ones slowly, unless they cannot be our own doing, because little
    of the bound is used, or because it is at its floor, where a provider that is slower for good is got to know anew.
    """

    __slots__ = (
        "_began", "_bound", "_ceiling", "_count", "_failed", "_floor", "_peak", "_seeks", "_total_s", "_usual_s",
    )  # fmt: skip

    def __init__(self, *, ceiling: int | None = None) -> None:
        self._began: float | None = None
        self._count = 0
        self._total_s = 0.0
        self._peak = 0
        self._failed = False
        self._usual_s: float | None = None
        self._seeks = True
        self._bound = float(FLOOR)
        self.hold_below(ceiling)

    @property
    def bound(self) -> int:
        """Most requests at once, as far as is known."""
        return int(self._bound)

    def hold_below(self, ceiling: int | None) -> None:
        """Hold to another ceiling from now on; ``None``: a thousand."""
        self._ceiling = ceiling or CEILING
        self._floor = min(FLOOR, self._ceiling)
        self._set(self._bound)

    def observed(self, seconds: float, *, failed: bool, in_flight: int, now: float) -> None:
        """A request had its first content after ``seconds``; ``failed``: it was refused for load, or timed out.

        ``in_flight``: how many there were at that moment, this one included. ``now``: monotonic seconds.
        """
        began = self._began
        if began is None:
            began = self._began = now - seconds
        if now - seconds >= began:
            self._count_in(seconds, failed=failed)
        if in_flight > self._peak:
            self._peak = in_flight
        if self._is_over(now - began):
            self._judge()
            self._open_window_at(now)

    def _count_in(self, seconds: float, *, failed: bool) -> None:
        if failed:
            self._failed = True
        else:
            self._count += 1
            self._total_s += seconds

    def _is_over(self, lasted_s: float) -> bool:
        usual_s = self._usual_s or 0.0
        if self._count >= ENOUGH or self._failed:
            return lasted_s >= max(MIN_WINDOW_S, 2 * usual_s)
        return self._count > 0 and lasted_s >= max(MAX_WINDOW_S, 4 * usual_s)

    def _open_window_at(self, now: float) -> None:
        self._began = now
        self._count = 0
        self._total_s = 0.0
        self._peak = 0
        self._failed = False

    def _judge(self) -> None:
        """What the window says of the bound."""
        is_used = self._peak >= self._bound / 2
        if self._failed:
            self._shrink((min(self._bound, self._peak) if is_used else self._bound) * BACK_OFF)
        if not self._count:
            return
        mean_s = self._total_s / self._count
        usual_s = self._usual_s = self._learned(mean_s, is_used=is_used)
        if self._failed or not is_used:
            return
        if mean_s > usual_s * TOLERANCE:
            self._shrink(self._bound * max(STEEPEST, BELOW * usual_s / mean_s))
        else:
            self._set(self._bound * 2 if self._seeks else self._bound + sqrt(self._bound))

    def _learned(self, mean_s: float, *, is_used: bool) -> float:
        """The usual time, with what this window adds to it."""
        usual_s = self._usual_s
        if usual_s is None:
            return mean_s
        may_be_ours = is_used and self._bound > self._floor
        share = FALL if mean_s < usual_s else CREEP if may_be_ours else RISE
        return usual_s + (mean_s - usual_s) * share

    def _shrink(self, bound: float) -> None:
        self._set(bound)
        self._seeks = self._bound <= self._floor

    def _set(self, bound: float) -> None:
        self._bound = max(self._floor, min(self._ceiling, bound))
