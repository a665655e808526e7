"""A bulkhead: how many requests are at one provider at once, so that one that hangs does not sink the others."""

import asyncio
import random
import sys
from collections import OrderedDict
from typing import Final

from llm_service.domain import DeadlineExceeded, Overloaded, fact
from llm_service.routing.adaptive import AdaptiveBound
from llm_service.runtime import Clock

NO_BOUND: Final = sys.maxsize
COME_AGAIN_S: Final = 1.0
"""When whoever found no place may come again, on average: between half of it and half as much again, at random."""

_Waiter = asyncio.Future[bool]


@fact
class Places:
    """What a bulkhead holds to. ``max_concurrency``: ``None`` is no bound. ``adaptive``: the bound is found out."""

    max_concurrency: int | None = None
    max_waiting: int = 100
    max_wait_s: float = 10.0
    adaptive: bool = False


class Bulkhead:
    """The places at one provider, for one event loop. Whoever waits is let in first come, first served.

    Somebody waits only while no place is free. So ``try_enter`` overtakes nobody, and a place that is given back goes
    to whoever has waited longest in the same step, without being free in between.
    """

    __slots__ = (
        "_adaptive", "_bound", "_clock", "_dice", "_max_wait_s", "_max_waiting", "_name", "_queue", "inside",
        "is_adaptive",
    )  # fmt: skip

    def __init__(self, provider: str, places: Places, *, clock: Clock, dice: random.Random) -> None:
        self.inside = 0
        self._name = provider
        self._clock = clock
        self._dice = dice
        self._queue: OrderedDict[_Waiter, None] = OrderedDict()
        self._adaptive: AdaptiveBound | None = None
        self._bound = NO_BOUND
        self.is_adaptive = False
        """Whether the bound is found out from what is ``observed``."""
        self.hold_to(places)

    # -- coming and going

    def try_enter(self) -> bool:
        """Take a place if one is free; each ``True`` is owed one ``leave``. Never waits."""
        if self.inside < self._bound:
            self.inside += 1
            return True
        return False

    async def enter(self, deadline: float | None) -> None:
        """Take a place, waiting for it within ``max_wait_s`` and until ``deadline`` (monotonic seconds) at most.

        Owes one ``leave``, unless it raises: Overloaded with ``retry_after_s`` when too many wait already or the wait
        was for nothing, so that another provider may be asked; DeadlineExceeded when the request's own time is over;
        CancelledError. Then no place is taken.
        """
        if self.try_enter():
            return
        if self.is_full:
            raise self._full()
        left_s = NO_BOUND if deadline is None else deadline - self._clock.monotonic()
        if not await self._let_in(min(left_s, self._max_wait_s)):
            if left_s < self._max_wait_s:
                raise DeadlineExceeded("The request's own deadline passed before the provider had a place for it.")
            raise self._full()

    def leave(self) -> None:
        """Give a place back: to whoever has waited longest, if anybody waits and the bound allows it."""
        if not (self._queue and self.inside <= self._bound and self._hand_on()):
            self.inside -= 1

    def _hand_on(self) -> bool:
        """Let in whoever has waited longest; whether anybody waits who has not just been cancelled."""
        while self._queue:
            waiter, _ = self._queue.popitem(last=False)
            if not waiter.done():
                waiter.set_result(True)
                return True
        return False

    async def _let_in(self, within_s: float) -> bool:
        """Wait in the queue; whether there is a place now."""
        if within_s <= 0:
            return False
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._queue[waiter] = None
        timer = self._clock.call_later(within_s, lambda: self._give_up(waiter))
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.result():
                self.leave()  # let in, and cancelled in the same moment: the place is for the next one
            raise
        finally:
            self._queue.pop(waiter, None)
            timer.cancel()

    def _give_up(self, waiter: _Waiter) -> None:
        if not waiter.done():
            del self._queue[waiter]
            waiter.set_result(False)

    def _full(self) -> Overloaded:
        return no_place(self._name, COME_AGAIN_S * self._dice.uniform(0.5, 1.5))

    # -- bounds

    def hold_to(self, places: Places) -> None:
        """Hold to these bounds from now on. Nobody who is inside has to leave; those who wait, wait as they began to.

        A bound that was found out stays, within the new one.
        """
        self._max_waiting = places.max_waiting
        self._max_wait_s = places.max_wait_s
        if not places.adaptive:
            self._adaptive = None
        elif self._adaptive is None:
            self._adaptive = AdaptiveBound(ceiling=places.max_concurrency)
        else:
            self._adaptive.hold_below(places.max_concurrency)
        self.is_adaptive = self._adaptive is not None
        self._bind(places.max_concurrency if self._adaptive is None else self._adaptive.bound)

    def observed(self, seconds: float, *, failed: bool, now: float) -> None:
        """A request that is inside has its first content after ``seconds``, or ``failed`` for the provider's load.

        Call it before the request's ``leave``. Does nothing where the bound is not to be found out.
        """
        adaptive = self._adaptive
        if adaptive is not None:
            adaptive.observed(seconds, failed=failed, in_flight=self.inside, now=now)
            if adaptive.bound != self._bound:
                self._bind(adaptive.bound)

    def _bind(self, bound: int | None) -> None:
        self._bound = NO_BOUND if bound is None else bound
        while self.inside < self._bound and self._hand_on():
            self.inside += 1

    @property
    def bound(self) -> int | None:
        """Most requests inside at once, as things are; ``None``: no bound."""
        return None if self._bound == NO_BOUND else self._bound

    @property
    def is_full(self) -> bool:
        """Whether a request would find neither a place nor room to wait for one."""
        no_waiting = len(self._queue) >= self._max_waiting or self._max_wait_s <= 0
        return self.inside >= self._bound and no_waiting

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._queue)


def no_place(provider: str, retry_after_s: float = COME_AGAIN_S) -> Overloaded:
    """What is told where a provider has no place."""
    said = f"No more requests to the provider `{provider}` can be made at once; try again in a moment."
    return Overloaded(said, retry_after_s=retry_after_s)
