"""A second attempt beside a first one that is late, and what becomes of the one that loses."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from llm_service.admission import Admission, Admitted
from llm_service.domain import Candidate, Outcome, Overloaded, Settlement
from llm_service.pipeline.base import ABORTED, Exchange, Try, Watcher
from llm_service.pipeline.leg import Leg
from llm_service.pipeline.race import race
from llm_service.routing import Hedging, PriceOf
from llm_service.runtime import Clock, Tasks

BYTES_A_TOKEN: Final = 4
LOST: Final = "lost"
"""In place of an error's code, of an attempt that another one was faster than."""

Attempt = Callable[[Exchange, int], Coroutine[Any, Any, Leg]]


class Hedges:
    """Begins second attempts: at another deployment of the model where there is one, else at the same one again.

    The second attempt has a lease of its own on its provider's limits. When it wins, the request's own lease goes over
    to its provider; of the one that loses the permit stays taken, and what it probably cost counts against the bound.
    """

    def __init__(
        self,
        hedging: Hedging,
        *,
        admission: Admission,
        price: Callable[[Candidate], PriceOf | None],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._hedging = hedging
        self._admission = admission
        self._price = price
        self._clock = clock
        self._tasks = tasks

    async def first(self, exchange: Exchange, place: int, attempt: Attempt) -> Leg:
        """The first attempt, or the second one where that was faster. Raises what the first one raises."""
        now = self._clock.monotonic()
        self._hedging.asked(now)
        exchange.watchers.insert(0, _Paid(exchange, self._hedging, self._clock))  # settled last: there is a record then
        member = exchange.route.members[place]
        times = member.times if exchange.request.stream else member.whole_times
        delay_s = self._hedging.delay_s(times, now)
        if delay_s is None:
            return await attempt(exchange, place)
        second = _Second(self._other(exchange, place))
        second.may_cost = self._cost(exchange, second.place)

        def begin() -> Coroutine[Any, Any, Leg]:
            if not self._hedging.begin(self._clock.monotonic(), may_cost=second.may_cost):
                raise Overloaded("There were second attempts enough.")
            second.is_counted = True
            return self._beside(exchange, second, attempt)

        won = 0
        try:
            won, leg = await race(
                attempt(exchange, place), begin, delay_s=delay_s, clock=self._clock, tasks=self._tasks
            )
        finally:
            if second.is_counted:
                await self._close(exchange, second, won=won == 1)
        return leg

    def _other(self, exchange: Exchange, place: int) -> int:
        now, route = self._clock.monotonic(), exchange.route
        siblings = route.group_of[place].places
        ready = (
            one for one in exchange.order
            if one != place and one in siblings and route.members[one].breaker.ready(now)
        )  # fmt: skip
        return next(ready, place)

    def _cost(self, exchange: Exchange, place: int) -> int | None:
        """About what an attempt costs that is given up at its first content, in nano-USD."""
        price = self._price(exchange.route.candidates[place])
        if price is None:
            return None
        return price.worst_case_nano(input_tokens=exchange.request.body_bytes // BYTES_A_TOKEN, output_tokens=1)

    async def _beside(self, exchange: Exchange, second: "_Second", attempt: Attempt) -> Leg:
        candidate = exchange.route.candidates[second.place]
        second.admitted = await self._admission.beside(exchange.admitted, candidate, lease_id=f"{exchange.id}.second")
        if second.admitted is None:
            raise Overloaded("There is no room for a second attempt.", provider=candidate.provider)
        exchange.route.members[second.place].home.budget.called(self._clock.monotonic())
        before = len(exchange.tries)
        try:
            return await attempt(exchange, second.place)
        finally:
            second.attempt = exchange.tries[before] if len(exchange.tries) > before else None

    async def _close(self, exchange: Exchange, second: "_Second", *, won: bool) -> None:
        """Settle the second attempt's lease, and count what was lost."""
        now, admitted = self._clock.monotonic(), second.admitted
        loser = exchange.tries[0] if won else second.attempt
        if won and admitted is not None:
            await self._admission.settle(admitted, None)
            over = await self._admission.swap(exchange.admitted, exchange.route.candidates[second.place], called=True)
            exchange.admitted = over or exchange.admitted
        elif admitted is not None:
            used = Settlement(tokens=0, nano_usd=second.may_cost or 0, provider=second.attempt is not None)
            await self._admission.settle(admitted, used)
        lost = 0
        if loser is not None and loser.error_code in (None, ABORTED):
            loser.error_code = LOST
            lost = self._cost(exchange, exchange.order[0] if won else second.place) or 0
            loser.nano_usd = lost
        self._hedging.lost(lost, now, may_cost=second.may_cost)


class _Second:
    """A second attempt, as far as it has come."""

    __slots__ = ("admitted", "attempt", "is_counted", "may_cost", "place")

    def __init__(self, place: int) -> None:
        self.place = place
        self.admitted: Admitted | None = None
        self.attempt: Try | None = None
        self.is_counted = False
        self.may_cost: int | None = None


class _Paid(Watcher):
    """Tells what the request cost in the end."""

    __slots__ = ("_clock", "_exchange", "_hedging")

    def __init__(self, exchange: Exchange, hedging: Hedging, clock: Clock) -> None:
        self._exchange = exchange
        self._hedging = hedging
        self._clock = clock

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        record = self._exchange.record
        if record is not None:
            self._hedging.cost(record.nano_usd, self._clock.monotonic())
        return None
