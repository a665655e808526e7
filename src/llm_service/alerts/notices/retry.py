"""Tries to deliver notices until they are delivered: a queue for each notifier, with the newest of each group."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from llm_service.alerts.notice import Notice, NoticeFailed, Notifier
from llm_service.runtime import Clock, OnFailure, Tasks

NoticeOutcome = Literal["delivered", "delayed", "failed", "replaced"]
"""``delayed``: an attempt failed, and another one follows. ``replaced``: by a newer notice of its group. The others are
the end of a notice, and each that is not replaced has one."""

Told = Callable[[str, Notice, NoticeOutcome, str | None], None]
"""Told of what became of a notice: the notifier's name, the notice, how it went, and why it failed."""

BACKOFF_S: Final = 2.0
BACKOFF_MAX_S: Final = 300.0
MOST_WAITING: Final = 256
CLOSING_S: Final = 3.0
STOPPED: Final = "the service stopped before it was delivered"
CROWDED_OUT: Final = "too many notices wait, and this one had waited longest"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A notice that is still to be delivered. Times are the clock's monotonic ones."""

    notice: Notice
    due_s: float
    deadline_s: float
    attempts: int = 0
    error: str = ""


class Outbox:
    """Delivers through one notifier, in the background, one notice after the other.

    A failure that may pass is tried again after a random time between nothing and 2 s, doubled with each attempt up to
    five minutes ("full jitter"); what the receiver asked for by Retry-After holds for all notices. A notice is given up
    when it has waited for ``retry_for_s``, or at once when to try again would not help. A newer notice takes the place
    of one of its group that is not delivered yet; beyond 256 the one that has waited longest is given up.
    """

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        *,
        retry_for_s: float,
        clock: Clock,
        dice: random.Random,
        told: Told,
        on_failure: OnFailure,
    ) -> None:
        self._name = name
        self._notifier = notifier
        self._retry_for_s = retry_for_s
        self._clock = clock
        self._dice = dice
        self._told = told
        self._on_failure = on_failure
        self._tasks = Tasks(on_failure)
        self._waiting: dict[str, _Waiting] = {}
        """By group."""
        self._on_its_way: _Waiting | None = None
        self._not_before_s = 0.0
        self._changed = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._closing = False

    def __len__(self) -> int:
        """How many notices are not delivered yet."""
        return len(self._waiting) + (self._on_its_way is not None)

    async def deliver(self, notice: Notice) -> None:
        """Take the notice; it is delivered in the background. Raises NoticeFailed when the service is stopping."""
        if self._closing:
            raise NoticeFailed(STOPPED)
        older = self._waiting.pop(notice.group, None)
        if older is not None:
            self._tell(older.notice, "replaced", None)
        elif len(self) >= MOST_WAITING:
            self._give_up(min(self._waiting.values(), key=lambda waiting: waiting.deadline_s), CROWDED_OUT)
        now_s = self._clock.monotonic()
        self._waiting[notice.group] = _Waiting(notice, due_s=now_s, deadline_s=now_s + self._retry_for_s)
        self._changed.set()
        if self._work is None or self._work.done():
            self._work = self._tasks.spawn(self._deliver_all(), name=f"notices through {self._name}")

    async def aclose(self) -> None:
        """Try each once more that was not tried yet, within 3 s; what is not delivered then is told to have failed."""
        self._closing = True
        asked_not_to = self._not_before_s > self._clock.monotonic()
        for waiting in [*self._waiting.values()]:
            if waiting.attempts or asked_not_to:
                self._give_up(waiting, f"{STOPPED}; {waiting.error}" if waiting.error else STOPPED)
        self._changed.set()
        if self._work is not None:
            timer = self._clock.call_later(CLOSING_S, self._end)
            await asyncio.wait((self._work,))
            timer.cancel()
        await self._tasks.aclose()
        for waiting in (*self._waiting.values(), *filter(None, (self._on_its_way,))):
            self._tell(waiting.notice, "failed", STOPPED)
        self._waiting.clear()
        self._on_its_way = None

    # -- in the background

    async def _deliver_all(self) -> None:
        """Until nothing waits."""
        while self._waiting:
            soonest = min(self._waiting.values(), key=lambda waiting: waiting.due_s)
            wait_s = max(soonest.due_s, self._not_before_s) - self._clock.monotonic()
            if wait_s > 0 and not self._closing:
                await self._pause(wait_s)
            elif self._clock.monotonic() > soonest.deadline_s and soonest.attempts:
                self._give_up(soonest, soonest.error)
            else:
                await self._try(soonest)

    async def _pause(self, wait_s: float) -> None:
        """Until so many seconds have passed, or something has changed."""
        self._changed.clear()
        timer = self._clock.call_later(wait_s, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

    async def _try(self, waiting: _Waiting) -> None:
        del self._waiting[waiting.notice.group]
        self._on_its_way = waiting
        waiting.attempts += 1
        try:
            await self._notifier.deliver(waiting.notice)
        except NoticeFailed as failure:
            self._on_its_way = None
            self._failed(waiting, failure)
        except Exception as defect:  # noqa: BLE001 - reported; the other notices are delivered all the same
            self._on_its_way = None
            self._on_failure(f"notices through {self._name}", defect)
            self._tell(waiting.notice, "failed", "it could not be sent: the log says why")
        else:
            self._on_its_way = None
            self._tell(waiting.notice, "delivered", None)

    def _failed(self, waiting: _Waiting, failure: NoticeFailed) -> None:
        waiting.error = str(failure)
        now_s = self._clock.monotonic()
        asked_s = failure.retry_after_s or 0.0
        self._not_before_s = max(self._not_before_s, now_s + min(asked_s, self._retry_for_s))
        if self._closing or failure.lasting or now_s >= waiting.deadline_s:
            self._tell(waiting.notice, "failed", waiting.error)
        elif waiting.notice.group in self._waiting:  # a newer one came meanwhile
            self._tell(waiting.notice, "replaced", waiting.error)
        elif now_s + asked_s > waiting.deadline_s:
            self._tell(waiting.notice, "failed", f"{waiting.error}, and asks to wait for {asked_s:.0f} s")
        else:
            waiting.due_s = min(now_s + backoff_s(waiting.attempts, self._dice), waiting.deadline_s)
            self._waiting[waiting.notice.group] = waiting
            self._tell(waiting.notice, "delayed", waiting.error)

    def _end(self) -> None:
        """Closing has taken long enough."""
        if self._work is not None:
            self._work.cancel()

    def _give_up(self, waiting: _Waiting, error: str) -> None:
        del self._waiting[waiting.notice.group]
        self._tell(waiting.notice, "failed", error)

    def _tell(self, notice: Notice, outcome: NoticeOutcome, error: str | None) -> None:
        try:
            self._told(self._name, notice, outcome, error)
        except Exception as defect:  # noqa: BLE001 - reported; who keeps the history must not stop the notices
            self._on_failure(f"history of notices through {self._name}", defect)


def backoff_s(attempts: int, dice: random.Random) -> float:
    """How long to wait after so many attempts, in seconds.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """
    return dice.uniform(0, min(BACKOFF_S * 2 ** min(attempts - 1, 16), BACKOFF_MAX_S))


__all__ = ["BACKOFF_MAX_S", "BACKOFF_S", "CLOSING_S", "MOST_WAITING", "NoticeOutcome", "Outbox", "Told", "backoff_s"]
