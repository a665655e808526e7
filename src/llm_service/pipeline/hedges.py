"""A second attempt beside a first one that is late, and what becomes of the one that loses."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, Protocol

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


class Attempt(Protocol):
    """Begins an attempt at a place of the route; ``made`` gets it as soon as it has begun."""

    def __call__(
        self, exchange: Exchange, place: int, made: list[Try] | None = None, /
    ) -> Coroutine[Any, Any, Leg]: ...


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

        made: list[Try] = []
        try:
            won, leg = await race(
                attempt(exchange, place, made), begin, delay_s=delay_s, clock=self._clock, tasks=self._tasks
            )
        except BaseException:
            await self._close(exchange, second, None)
            raise
        try:
            if won == 1:
                await self._close(exchange, second, _Loser(place, made), won=True)
            else:
                await self._close(exchange, second, _Loser(second.place, second.made))
        except BaseException:
            await leg.aclose()
            raise
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
        return price.worst_case_nano(input_tokens=exchange.sent.body_bytes // BYTES_A_TOKEN, output_tokens=1)

    async def _beside(self, exchange: Exchange, second: "_Second", attempt: Attempt) -> Leg:
        candidate = exchange.route.candidates[second.place]
        second.admitted = await self._admission.beside(exchange.admitted, candidate, lease_id=f"{exchange.id}.second")
        if second.admitted is None:
            raise Overloaded("There is no room for a second attempt.", provider=candidate.provider)
        return await attempt(exchange, second.place, second.made)

    async def _close(self, exchange: Exchange, second: "_Second", loser: "_Loser | None", *, won: bool = False) -> None:
        """Count what was lost, and settle the second attempt's lease; ``won``: it is the answer."""
        if not second.is_counted:
            return
        self._hedging.lost(self._lost(exchange, loser), self._clock.monotonic(), may_cost=second.may_cost)
        admitted = second.admitted
        if won and admitted is not None:
            await self._admission.settle(admitted, None)
            over = await self._admission.swap(exchange.admitted, exchange.route.candidates[second.place], called=True)
            exchange.admitted = over or exchange.admitted
        elif admitted is not None:
            used = Settlement(tokens=0, nano_usd=second.may_cost or 0, provider=bool(second.made))
            await self._admission.settle(admitted, used)

    def _lost(self, exchange: Exchange, loser: "_Loser | None") -> int:
        """What the attempt that lost probably cost, in nano-USD, which it is told; nothing where it had not begun."""
        if loser is None or not loser.made or loser.made[0].error_code not in (None, ABORTED):
            return 0
        (attempt,) = loser.made
        attempt.error_code = LOST
        attempt.nano_usd = self._cost(exchange, loser.place) or 0
        return attempt.nano_usd


class _Loser(NamedTuple):
    """Where the attempt was begun that another one was faster than, and itself, if it was."""

    place: int
    made: list[Try]


class _Second:
    """A second attempt, as far as it has come."""

    __slots__ = ("admitted", "is_counted", "made", "may_cost", "place")

    def __init__(self, place: int) -> None:
        self.place = place
        self.admitted: Admitted | None = None
        self.made: list[Try] = []
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
