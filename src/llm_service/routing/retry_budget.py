"""How many retries a provider gets: a share of its requests, so that an outage is not made worse by us."""

from collections.abc import Callable
from typing import Final

from llm_service.routing.rolling import Rolling

WINDOW_S: Final = 10
BUCKET_S: Final = 1.0


class RetryBudget:
    """What retries and fallbacks to one provider are paid from.

    Promised: with each one that is granted, those of the 10 s up to then, itself among them, are at most ``least`` or
    at most ``ratio`` times the first attempts of the 10 s up to then, whichever is more. Retries earn no further ones,
    so that calls stay below ``1 + ratio`` a request. To be never above that with buckets of a second, what was granted
    counts for 10 to 11 s, and what earned it for 9 to 10.

    ``least`` is for all processes together and is divided among the living ones, rounded down, but at least one for
    each. Over all processes it is never more than ``least`` (or one each) and ``ratio`` of all together.
    """

    __slots__ = ("_first", "_granted", "_least", "_ratio", "_workers", "called")

    def __init__(self, *, ratio: float, least: int, workers: Callable[[], int]) -> None:
        """``workers``: how many processes live."""
        self._workers = workers
        self._first = Rolling(WINDOW_S, BUCKET_S)
        self.called: Callable[[float], None] = self._first.add
        """The first attempt of a request goes to the provider now."""
        self._granted = Rolling(WINDOW_S + 1, BUCKET_S)
        self.configure(ratio=ratio, least=least)

    def configure(self, *, ratio: float, least: int) -> None:
        """Go on with other settings."""
        self._ratio = ratio
        self._least = least

    def spend(self, now: float) -> bool:
        """Whether a retry or a fallback may go to the provider now; if so, it is paid for."""
        if self.left(now) < 1:
            return False
        self._granted.add(now)
        return True

    def left(self, now: float) -> int:
        """How many more could go to the provider now; asking spends nothing."""
        most = max(int(self._ratio * self._first.value(now)), self._least_here())
        return max(most - self._granted.value(now), 0)

    def _least_here(self) -> int:
        return min(self._least, max(1, self._least // max(1, self._workers())))
