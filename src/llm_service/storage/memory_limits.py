"""The limit store of one process: dictionaries, and no await between looking and taking."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final, TypeAlias

from llm_service.domain import (
    Ask,
    Claim,
    Claims,
    Decision,
    Lease,
    Limit,
    LimitSet,
    LimitState,
    Refused,
    Settlement,
    Unknown,
)
from llm_service.runtime import Clock
from llm_service.storage.counters import Bucket, Budget, Counter, Presence, TokenWindow, Window
from llm_service.storage.ports import NOT_KNOWN, Reach, StoreUnavailable

SWEPT_PER_COUNTER: Final = 2
SWEPT_PER_BEAT: Final = 1000
MOST_EARLY: Final = 10_000
"""Of how many budgets records are remembered that came before the seed."""
MOST_SETS: Final = 10_000
"""Of how many sets of limits the counters are at hand; all are looked up again when there are more."""

Room: TypeAlias = tuple[Sequence[Counter], Sequence[int]]
"""Counters that have room, and what each is to take."""
Taken: TypeAlias = list[tuple[Counter, int, Bucket]]
NO_ROOM_NEEDED: Final[Room] = ((), ())
FIRST: Final = (0, NO_ROOM_NEEDED)
"""The first candidate, whose provider has no limits."""


class _Lease(Lease):
    """A lease, and the counters that it stands in: those of its callers with the bucket of each, in their order."""

    __slots__ = ("buckets", "room", "taken_of_provider")

    def __init__(
        self,
        id: str,  # noqa: A002 - the word of the contract
        callers: Sequence[Claim],
        candidate: int,
        provider: Sequence[Claim],
        second: int,
        used: Sequence[int],
        room: Room,
        buckets: Sequence[Bucket],
        taken_of_provider: Taken,
    ) -> None:
        """By place, and all in one: every request makes one."""
        self.id = id
        self.callers = callers
        self.candidate = candidate
        self.provider = provider
        self.second = second
        self.used = used
        self.local = False
        self.room = room
        self.buckets = buckets
        self.taken_of_provider = taken_of_provider


class MemoryLimits:
    """Exact limits of a single process, see LimitStore. Seconds are those of ``clock.time()``.

    What is unused is forgotten: windows after three minutes, budgets an hour after their end, those of period ``total``
    never. There is no other holder whose leases could be lost, so ``beat`` is 1 and ``reap`` finds nothing.

    Nothing here waits: ``admit_at_once`` and ``settle_at_once`` are the same without a coroutine.
    """

    __slots__ = ("_counters", "_due", "_early", "_leases", "_life", "_sets", "_sweep", "_time", "reach")

    def __init__(self, clock: Clock, *, life: str = "process") -> None:
        """``life``: a name that no other memory has, also none of an earlier process."""
        self.reach: Reach = "process"
        self._life = life
        self._early: dict[str, dict[int, int]] = {}
        self._time = clock.time
        self._counters: dict[str, Counter] = {}
        self._sets: dict[LimitSet, tuple[Counter, ...]] = {}
        self._leases: dict[str, _Lease] = {}
        self._sweep: list[str] = []
        self._due = 0

    @property
    def life(self) -> str:
        """One for as long as the process lives."""
        return self._life

    async def admit(self, ask: Ask) -> Decision:
        """Take all claims of the callers and of the first candidate with room, or nothing at all.

        No limit may be claimed twice by the callers and one candidate. Without candidates the lease's is -1.
        """
        return self.admit_at_once(ask)

    def admit_at_once(self, ask: Ask) -> Decision:
        """The same."""
        known = self._leases.get(ask.lease_id)
        if known is not None:
            return known
        if self._due:  # never while a decision is made: a new counter in it stands at nothing yet
            self._forget_unused(self._due)
        second = int(self._time())
        room = self._room(ask.callers, second)
        if not isinstance(room, tuple):
            return room
        found = self._first(ask.candidates, second)
        if not isinstance(found, tuple):
            return found
        candidate, room_of_provider = found
        buckets, used = [], []
        for counter, cost in zip(*room, strict=True):
            buckets.append(counter.take(cost, second))
            used.append(counter.total)
        provider = ask.candidates[candidate] if candidate >= 0 else ()
        taken = _take(room_of_provider, second) if provider else []
        lease = _Lease(ask.lease_id, ask.callers, candidate, provider, second, used, room, buckets, taken)
        self._leases[ask.lease_id] = lease
        return lease

    async def foresee(self, ask: Ask) -> int | Refused | Unknown:
        """What ``admit`` would say now, taking nothing."""
        second = int(self._time())
        room = self._room(ask.callers, second)
        if not isinstance(room, tuple):
            return room
        found = self._first(ask.candidates, second)
        return found[0] if isinstance(found, tuple) else found

    async def swap(self, lease: Lease, ask: Ask, *, called: bool) -> Decision:
        """Take the first candidate with room in place of the lease's provider part; its id and callers stay.

        What the lease holds of a provider is no obstacle to its own new claim on the same limits, but for the permit of
        a request that was ``called``. Raises StoreUnavailable when the lease is not known (any more).
        """
        held = self._leases.get(lease.id)
        if held is None:
            raise StoreUnavailable(NOT_KNOWN)
        second, old = int(self._time()), held.taken_of_provider
        if called:
            old = [taken for taken in old if type(taken[0]) is not Window]
        looked_at = held.provider
        if called:
            looked_at = [claim for claim in held.provider if claim.limit.kind != "requests"]
        for limit, _ in looked_at:  # by name: its own counter may have been forgotten, and there is another one
            if (current := self._counters.get(limit.key)) is not None:
                current.stands(second)
        for counter, cost, bucket in old:
            counter.give_back(cost, bucket)
        found = self._first(ask.candidates, second)
        if not isinstance(found, tuple):
            for counter, cost, bucket in old:
                counter.take_again(cost, bucket)
            return found
        candidate, room = found
        swapped = self._leases[lease.id] = _Lease(
            lease.id,
            lease.callers,
            candidate,
            ask.candidates[candidate] if candidate >= 0 else (),
            second,
            lease.used,
            held.room,
            held.buckets,
            _take(room, second),
        )
        return swapped

    async def settle(self, lease: Lease, settlement: Settlement | None) -> bool:
        """Put what was used in place of what was held; False: it was settled before."""
        return self.settle_at_once(lease.id, settlement)

    async def settle_lost(self, holder: str, lease_id: str, settlement: Settlement | None) -> bool:
        """Settle by id: every holder that could be known here is this one."""
        return self.settle_at_once(lease_id, settlement)

    async def seed(self, limit: Limit, *, used: int, mark: int) -> None:
        """Say what was spent of a budget up to ``mark``, unless that is known."""
        if limit.key not in self._counters:
            budget = Budget(used=used, mark=mark, ends_at=limit.ends_at)
            for early, cost in self._early.pop(limit.key, {}).items():
                budget.add(cost, early)
            self._keep(limit.key, budget)

    async def add(self, limit: Limit, *, cost: int, mark: int) -> None:
        """Count the ledger's record ``mark``, once, unless the budget's seed has it, now or later."""
        budget = self._counters.get(limit.key)
        if isinstance(budget, Budget):
            budget.add(cost, mark)
        elif len(self._early) < MOST_EARLY or limit.key in self._early:
            self._early.setdefault(limit.key, {}).setdefault(mark, cost)

    def seen(self, limit: Limit) -> int | None:
        """What stands against a limit, as it was last looked at."""
        counter = self._counters.get(limit.key)
        return None if counter is None else counter.total

    def at_hand(self, limits: LimitSet) -> Sequence[Counter] | None:
        """Their counters, as they were last looked at, where all are known and have been asked for."""
        return self._sets.get(limits)

    def resume(self, limit: Limit, *, used: int) -> None:
        """Begin a window as if so much had been used just now; nothing where it has begun already."""
        counter = None if limit.key in self._counters else self._new(limit)
        if isinstance(counter, Window):
            Window.take(counter, used, int(self._time()))

    async def read(self, limits: Sequence[Limit]) -> Sequence[LimitState]:
        """Where the limits stand, in their order."""
        second = int(self._time())
        return [self._state(limit, second) for limit in limits]

    async def beat(self) -> int:
        """The one holder lives. Forgets some of what is unused."""
        self._forget_unused(SWEPT_PER_BEAT)
        return 1

    async def lives(self, holder: str) -> bool:
        """No other process than this one does."""
        return holder == self._life

    async def reap(self, *, silent_s: float) -> int:
        """No other holder, so no lease of a silent one."""
        return 0

    async def release(self, holder: str) -> int:
        """No other holder, so none that has died."""
        return 0

    async def aclose(self) -> None:
        """There is nothing to let go of."""

    def settle_at_once(self, lease_id: str, settlement: Settlement | None) -> bool:
        """Put what was used in place of what the lease of this id held; False: it was settled before."""
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            return False
        counters, costs = lease.room
        if settlement is None:
            for counter, cost, bucket in zip(counters, costs, lease.buckets, strict=True):
                counter.give_back(cost, bucket)
        else:
            for counter, cost, bucket in zip(counters, costs, lease.buckets, strict=True):
                counter.settle(cost, bucket, settlement)
        if settlement is None or not settlement.provider:
            for counter, cost, bucket in lease.taken_of_provider:
                counter.give_back(cost, bucket)
        else:
            for counter, cost, bucket in lease.taken_of_provider:
                counter.settle(cost, bucket, settlement)
        return True

    def _room(self, claims: Sequence[Claim], second: int) -> Room | Refused | Unknown:
        """The counters of claims that all have room, with their costs."""
        if type(claims) is Claims:
            limits, costs = claims.of, claims.costs
            counters = self._sets.get(limits) or self._put_at_hand(limits)
        elif claims:
            limits, costs = LimitSet([limit for limit, _ in claims]), [cost for _, cost in claims]
            counters = self._counters_of(limits)
        else:
            return NO_ROOM_NEEDED
        if counters is None:
            return self._obstacle(limits, costs, map(self._counter, limits.limits), second)
        for counter, amount, cost in zip(counters, limits.amounts, costs, strict=True):
            if counter.looked_at != second:
                counter.stands(second)
            if counter.total + cost > amount:
                return self._obstacle(limits, costs, counters, second)
        return counters, costs

    def _put_at_hand(self, limits: LimitSet) -> tuple[Counter, ...] | None:
        """The counters of limits that are met again and again."""
        counters = self._counters_of(limits)
        if counters is not None:
            if len(self._sets) >= MOST_SETS:
                self._sets.clear()
            self._sets[limits] = counters
        return counters

    def _counters_of(self, limits: LimitSet) -> tuple[Counter, ...] | None:
        """The counter of each limit; ``None`` where one is a budget that is not known."""
        counters = []
        for limit in limits.limits:
            counter = self._counter(limit)
            if counter is None:
                return None
            counters.append(counter)
        return tuple(counters)

    def _counter(self, limit: Limit) -> Counter | None:
        return self._counters.get(limit.key) or self._new(limit)

    def _first(self, candidates: Sequence[Sequence[Claim]], second: int) -> tuple[int, Room] | Refused | Unknown:
        """The first candidate with room; else the refusal that ends soonest."""
        if candidates and not candidates[0]:
            return FIRST
        refusals: list[Refused] = []
        for rank, claims in enumerate(candidates):
            room = self._room(claims, second)
            if isinstance(room, tuple):
                return rank, room
            if isinstance(room, Unknown):
                return room
            refusals.append(room)
        return min(refusals, key=_wait) if refusals else (-1, NO_ROOM_NEEDED)

    def _obstacle(
        self, limits: LimitSet, costs: Sequence[int], counters: Iterable[Counter | None], second: int
    ) -> Refused | Unknown:
        """The first budget that is not known; else, of the refusals that there are, the one that lasts longest."""
        refusals: list[Refused] = []
        for limit, cost, counter in zip(limits.limits, costs, counters, strict=True):
            if counter is None:
                return Unknown(limit=limit)
            if counter.looked_at != second:
                counter.stands(second)
            if counter.total + cost > limit.amount:
                used, wait_s = counter.total - counter.reserved, counter.wait_s(cost, limit, second)
                refusals.append(Refused(limit=limit, used=used, reserved=counter.reserved, wait_s=wait_s))
        return refusals[0] if len(refusals) == 1 else max(refusals, key=_wait)

    def _new(self, limit: Limit) -> Counter | None:
        """A counter from zero; there is none for money, which has to be seeded."""
        match limit.kind:
            case "requests":
                return self._keep(limit.key, Window())
            case "tokens":
                return self._keep(limit.key, TokenWindow())
            case "concurrency":
                return self._keep(limit.key, Presence())
            case "money":
                return None

    def _keep(self, key: str, counter: Counter) -> Counter:
        self._counters[key] = counter
        self._due += SWEPT_PER_COUNTER
        return counter

    def _forget_unused(self, count: int) -> None:
        """Look at so many counters, in turn. Two for each new one keep their number within a small factor."""
        self._due = 0
        if not self._sweep:
            self._sweep = list(self._counters)
        second = int(self._time())
        for key in self._sweep[-count:]:
            if key in self._counters and self._counters[key].idle(second):
                del self._counters[key]
                self._sets.clear()  # one of them may have it
        del self._sweep[-count:]

    def _state(self, limit: Limit, second: int) -> LimitState:
        counter = self._counters.get(limit.key)
        if counter is None:
            known = None if limit.kind == "money" else 0
            return LimitState(limit=limit, used=known, reserved=known)
        total = counter.stands(second)
        return LimitState(limit=limit, used=total - counter.reserved, reserved=counter.reserved)


def _take(room: Room, second: int) -> Taken:
    return [(counter, cost, counter.take(cost, second)) for counter, cost in zip(*room, strict=True)]


def _wait(refused: Refused) -> float:
    return inf if refused.wait_s is None else refused.wait_s
