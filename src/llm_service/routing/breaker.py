"""Whether a deployment is asked: not while it fails; then one request tries it."""

from collections.abc import Callable
from typing import Final, Literal

from llm_service.domain import Candidate
from llm_service.routing.options import BreakerOptions
from llm_service.routing.rolling import Rolling

BreakerState = Literal["closed", "limited", "open", "half_open"]
Change = Literal["opened", "failed", "closed", "abandoned", "reset"]
"""What others may want to know: it opened; a probe failed, closed it, had no verdict; an operator closed it."""

BUCKETS: Final = 10
"""The window is rolled on in so many steps."""
LIMITED_MAX_S: Final = 30.0
"""A provider that says "not before" is believed for so long at most."""


class Breaker:
    """The breaker of one deployment in this process: a state machine that is told the time (monotonic seconds).

    It opens on so many failures in a row, or on a share of failures in the window where `may_eject` agrees. An open one
    permits nothing for a while, then one request: the probe. A good probe closes it, with all failures forgotten; a bad
    one doubles the while, up to a longest one; one that has no verdict by then makes room for the next.

    Each permit is a number, given back with the verdict: what was permitted before the breaker opened or closed says
    nothing about the time after it, so it neither opens nor closes it then. ``closed`` is the hot path's: whether
    requests pass freely.
    """

    __slots__ = (
        "_calls", "_failed", "_failures", "_in_row", "_may_eject", "_min_requests", "_open_max_s", "_open_s", "_opened",
        "_ratio", "_tell", "_time", "_tried", "_window_s", "broken", "by_ratio", "candidate", "cause", "closed",
        "forgotten", "heard", "name", "open_until", "pause_s", "permit", "probing", "since",
    )  # fmt: skip

    def __init__(
        self,
        candidate: Candidate,
        options: BreakerOptions,
        *,
        time: Callable[[], float],
        may_eject: Callable[["Breaker"], bool] = lambda breaker: True,
        tell: Callable[["Breaker", Change], None] = lambda breaker, change: None,
    ) -> None:
        """``time``: the wall clock. ``may_eject``: whether it may open for its share of failures alone. ``tell``
        hears of changes that came from requests of this process."""
        self.candidate = candidate
        self.name = name_of(candidate)
        self.closed = True
        self.broken = False
        """Whether it has opened; without it, one that is not closed was only asked to wait."""
        self.probing = False
        self.by_ratio = False
        self.cause = ""
        self.since = time()
        """When it opened or closed last, Unix seconds."""
        self.open_until = 0.0
        """When the next request may pass, monotonic."""
        self.pause_s = 0.0
        self.heard = 0
        """The newest word of other processes that was taken in."""
        self.forgotten = False
        """Whether the deployment has, or will get, another one in its place."""
        self._time = time
        self._may_eject = may_eject
        self._tell = tell
        self.permit = 1
        """The latest that was given; each probe has a new one."""
        self._opened = 0  # the last permit that was given before it opened
        self._tried = 0  # the permit of the probe that closed it, until its answer has ended
        self._in_row = 0
        self._window_s = 0.0
        self.configure(options)

    def configure(self, options: BreakerOptions) -> None:
        """Go on with other settings. What is open stays so for as long as it was to be."""
        self._failures = options.failures
        self._ratio = options.error_ratio
        self._min_requests = options.min_requests
        self._open_max_s = options.open_max_s
        self._open_s = min(options.open_s, options.open_max_s)
        if options.window_s != self._window_s:
            self._window_s = options.window_s
            self._calls = Rolling(BUCKETS, options.window_s / BUCKETS)
            self._failed = Rolling(BUCKETS, options.window_s / BUCKETS)

    @property
    def probe_s(self) -> float:
        """How long a probe is waited for: the longest time between two tries."""
        return self._open_max_s

    def state(self, now: float) -> BreakerState:
        """What it is; ``half_open``: a request tries the deployment, or the next one will."""
        if self.closed:
            return "closed"
        if not self.broken:
            return "limited" if now < self.open_until else "closed"
        return "half_open" if self.probing or now >= self.open_until else "open"

    def counts(self, now: float) -> tuple[int, int]:
        """The calls of the window, and how many of them failed."""
        return self._calls.value(now), self._failed.value(now)

    def is_idle(self, now: float) -> bool:
        """Whether it says no more than a new one."""
        return self.state(now) == "closed" and not self._in_row and not self._calls.value(now)

    def ready(self, now: float) -> bool:
        """Whether a request would be permitted now; asking changes nothing."""
        return self.closed or now >= self.open_until

    def permits(self, now: float) -> int:
        """The permit of a request, to be given back with its verdict; 0: it must not be sent.

        Where the breaker is not closed afterwards, the request is the probe: it ends with a verdict, or `abandoned`.
        """
        if self.closed:
            return self.permit
        return self._permit_after(now)

    def permits_a_limited(self, now: float) -> int:
        """The same where there is nobody else to ask: also while the provider wishes to be left alone."""
        return self.permit if not self.broken and now < self.open_until else self.permits(now)

    def _permit_after(self, now: float) -> int:
        if now < self.open_until:
            return 0
        if not self.broken:
            self.closed = True
            return self.permit
        self.probing = True
        self.open_until = now + self._open_max_s
        self.permit += 1
        return self.permit

    def succeeded(self, now: float, permit: int) -> None:
        """A request with this permit was answered."""
        if self.broken:
            if permit > self._opened:  # a probe; also an earlier one that was slow
                self._tried = permit
                self._close()
                self._tell(self, "closed")
        elif permit == self.permit:
            self._in_row = 0
            self._calls.add(now)
        elif permit == self._tried:
            self._tried = 0

    def failed(self, now: float, permit: int, cause: str) -> None:
        """A request with this permit failed by the deployment's fault; in few words, why.

        The probe that closed it by its first content opens it again when its answer breaks off, for twice as long.
        """
        if self.broken:
            if self._is_probe(permit):
                self.cause = cause
                self._pause(now, min(2 * self.pause_s, self._open_max_s))
                self._tell(self, "failed")
            return
        if permit != self.permit:
            if permit == self._tried:
                self._open(cause, self._time())
                self._pause(now, min(2 * self.pause_s, self._open_max_s))
                self._tell(self, "opened")
            return
        self._in_row += 1
        self._calls.add(now)
        self._failed.add(now)
        in_row = self._in_row >= self._failures
        if in_row or (self._has_ratio(now) and self._may_eject(self)):
            self.by_ratio = not in_row
            self._open(cause, self._time())
            self._pause(now, self._open_s)
            self._tell(self, "opened")

    def abandoned(self, now: float, permit: int) -> None:
        """A request with this permit gave no verdict: its client left, or the fault was its own. May be said twice."""
        if self.broken and self._is_probe(permit):
            self.probing = False
            self.open_until = now
            self._tell(self, "abandoned")

    def limited(self, now: float, permit: int, retry_after_s: float | None) -> None:
        """The deployment answered that it has too much to do. That is no failure: it is left alone for as long as it
        said, at most `LIMITED_MAX_S`. A probe that hears it is followed by a pause, which is not doubled."""
        wait_s = min(retry_after_s or 0.0, LIMITED_MAX_S)
        if self.broken and self._is_probe(permit):
            self._pause(now, max(self.pause_s, wait_s))
            self._tell(self, "failed")
        elif self.broken:
            self.open_until = max(self.open_until, now + wait_s)
        elif wait_s > 0 and permit == self.permit:
            self.open_until = now + wait_s if self.closed else max(self.open_until, now + wait_s)
            self.closed = False

    def reset(self) -> None:
        """Begin anew, as an operator wishes."""
        was_broken = self.broken
        self._close()
        if was_broken:
            self._tell(self, "reset")

    # -- what other processes know

    def heard_open(self, now: float, *, left_s: float, pause_s: float, opened_at: float, cause: str) -> None:
        """It is open everywhere; nothing is sent for so many seconds more, and a probe's place is others'."""
        if not self.broken:
            self.by_ratio = False
            self._open(cause, opened_at)
        self.since = opened_at
        self.cause = cause
        self._pause(now, pause_s)
        self.open_until = now + left_s

    def heard_closed(self) -> None:
        """It is closed everywhere."""
        if self.broken:
            self._close()

    # -- the parts

    def _is_probe(self, permit: int) -> bool:
        return self.probing and permit == self.permit

    def _has_ratio(self, now: float) -> bool:
        calls = self._calls.value(now)
        return calls >= self._min_requests and self._failed.value(now) >= self._ratio * calls

    def _open(self, cause: str, opened_at: float) -> None:
        self.closed = False
        self.broken = True
        self.cause = cause
        self.since = opened_at
        self._opened = self.permit
        self._tried = 0

    def _pause(self, now: float, pause_s: float) -> None:
        self.probing = False
        self.pause_s = pause_s
        self.open_until = now + pause_s

    def _close(self) -> None:
        if self.broken:
            self.since = self._time()
        self.closed = True
        self.broken = False
        self.probing = False
        self.by_ratio = False
        self.cause = ""
        self.permit += 1
        self._in_row = 0
        self._calls.clear()
        self._failed.clear()


def name_of(candidate: Candidate) -> str:
    """What a deployment's breaker is called among processes."""
    return f"{candidate.provider}/{candidate.upstream_model}"
