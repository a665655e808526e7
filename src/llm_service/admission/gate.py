"""The one way to the limit store: budgets seeded from the ledger, local rules while a shared store is away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from llm_service.admission.arrears import Arrears
from llm_service.admission.learning import Learning
from llm_service.admission.spendings import NONE, Spending, Spendings, WhenShipped
from llm_service.domain import (
    Ask,
    Lease,
    LedgerUnavailable,
    Limit,
    LimitState,
    Refused,
    Settlement,
    Unknown,
    budgets_among,
    limits_among,
)
from llm_service.observability import Log
from llm_service.storage import LimitStore, MemoryLimits, Reach, Spent, StoreUnavailable

SEEDINGS: Final = 16
"""More budgets than one request can meet."""


class Held(NamedTuple):
    """A lease, and the store that it is settled in. ``life``: the store's identity at the grant."""

    lease: Lease
    store: LimitStore
    life: str

    @property
    def budgets(self) -> Sequence[Limit]:
        """The budgets that the lease stands in."""
        lease = self.lease
        callers = budgets_among(lease.callers)
        return (*callers, *budgets_among(lease.provider)) if lease.provider else callers


class Gate:
    """Asks the store, and stands in for it.

    While a shared store is away (it fails within 100 ms, then at once), this process alone enforces the limits on a
    store of its own, which goes on from what it last heard: requests, tokens and concurrency in full, money on its
    share of what was left (``workers`` as last seen). Nothing waits for the store's return; it is told then what was
    spent.
    """

    def __init__(
        self,
        store: LimitStore,
        *,
        here: Callable[[], MemoryLimits],
        spent: Spent,
        when_shipped: WhenShipped,
        arrears: Arrears,
        holder: str,
        log: Log,
    ) -> None:
        """``here`` makes an empty store of this process; ``spent`` asks the ledger; ``holder`` names this process."""
        self._store = store
        self._new_here = here
        self._here: MemoryLimits | None = None
        self._spent = Learning(spent)
        self.spendings = Spendings(store, arrears=arrears, when_shipped=when_shipped)
        self._arrears = arrears
        self._holder = holder
        self._log = log
        self.workers = 1

    @property
    def memory(self) -> MemoryLimits | None:
        """The store, where it is this process's own memory: it is never away, and nothing there waits."""
        store = self._store
        return store if isinstance(store, MemoryLimits) and store.reach == "process" else None

    @property
    def local(self) -> bool:
        """Whether this process stands in for the shared store."""
        return self._here is not None

    @property
    def reach(self) -> Reach:
        """For whom the limits hold now."""
        return "process" if self.local else self._store.reach

    async def read(self, limits: Sequence[Limit]) -> Sequence[LimitState]:
        """Where limits stand, in their order; unknown (``None``) where neither store nor ledger can say it now.

        A budget that nobody has asked for yet is seeded from the ledger, so that it is known afterwards.
        """
        if self._here is not None:
            return await self._here.read(limits)
        try:
            states = await self._store.read(limits)
        except StoreUnavailable as failure:
            self._log.debug("limits cannot be read", cause=str(failure))
            return [LimitState(limit=limit, used=None, reserved=None) for limit in limits]
        unknown = [state.limit for state in states if state.used is None]
        return await self._seeded(unknown, limits) or states if unknown else states

    async def _seeded(self, unknown: Sequence[Limit], limits: Sequence[Limit]) -> Sequence[LimitState] | None:
        try:
            for limit in unknown:
                used, mark = await self._spent(limit)
                await self._store.seed(limit, used=used, mark=mark)
            return await self._store.read(limits)
        except StoreUnavailable as failure:
            self._log.debug("budgets cannot be seeded", cause=str(failure))
            return None

    def seen(self, limit: Limit) -> int:
        """What stood against a limit when it was last heard of: a guide, not a decision."""
        return self._store.seen(limit) or 0

    async def admit(self, ask: Ask) -> Held | Refused:
        """One decision over all limits. Raises LedgerUnavailable when what was spent of a budget cannot be learned."""
        try:
            decision, life = await self._decide(self._store, ask)
        except StoreUnavailable as failure:
            self._arrears.give_back(self._holder, ask.lease_id)  # it may have been granted all the same
            return await self._stand_in(ask, failure)
        except asyncio.CancelledError:
            self._arrears.give_back(self._holder, ask.lease_id)
            raise
        if isinstance(decision, Refused):
            return decision
        self.store_returned()
        return Held(decision, self._store, life)

    async def foresee(self, ask: Ask) -> int | Refused:
        """What `admit` would decide now, taking nothing: the index of the candidate with room (-1: there are none).

        Raises LedgerUnavailable as that does. What was spent of a budget is learned, if it is not known yet.
        """
        try:
            return await self._foreseen(self._store, ask)
        except StoreUnavailable:
            here = self._here or self._new_here()  # where it is not: one that nobody goes on with
            await self._take_up(here, ask)
            return await self._foreseen(here, ask)

    async def swap(self, held: Held, ask: Ask, *, called: bool) -> Held | Refused:
        """For another attempt: a candidate's part in place of the lease's. ``ask`` names no callers; ``called``: the
        provider whose part it was has been asked.
        """
        try:
            for _ in range(SEEDINGS):
                decision = await held.store.swap(held.lease, ask, called=called)
                if not isinstance(decision, Unknown):
                    return decision if isinstance(decision, Refused) else Held(decision, held.store, held.life)
                await self._seed(held.store, decision.limit)
        except StoreUnavailable:
            return held  # the shared store went away in between: the fallback goes on, on what was granted
        raise LedgerUnavailable("What was spent of the budgets cannot be learned now.", retry_after_s=1.0)

    async def settle(self, held: Held, settlement: Settlement | None) -> None:
        """Put what was used in place of what was held. Never fails: what cannot be told now is told later."""
        lease, life = held.lease, held.store.life
        if self._store.reach == "process":  # its memory lives as long as this process: nothing can be forgotten
            await held.store.settle(lease, settlement)
            return
        told = partial(self._settled, held, self._spending(held, settlement))
        try:
            known = await held.store.settle(lease, settlement)
        except StoreUnavailable:
            self._arrears.settle(held.store, lease, settlement, told=told)
        except asyncio.CancelledError:  # it may not have been heard: told twice does no harm, and not at all does
            self._arrears.settle(held.store, lease, settlement, told=told)
            raise
        else:
            told(known, life)

    def store_returned(self) -> None:
        """The shared store is there again: its limits hold from now on."""
        if self._here is not None:
            self._log.info("limits are shared again")
        self._here = None

    async def _decide(self, store: LimitStore, ask: Ask) -> tuple[Lease | Refused, str]:
        """The decision, and the store's life that it was made in: the answer may be read when that is over."""
        for _ in range(SEEDINGS):
            life = store.life
            decision = await store.admit(ask)
            if not isinstance(decision, Unknown):
                return decision, life
            await self._seed(store, decision.limit)
        raise _unlearned()

    async def _foreseen(self, store: LimitStore, ask: Ask) -> int | Refused:
        for _ in range(SEEDINGS):
            decision = await store.foresee(ask)
            if not isinstance(decision, Unknown):
                return decision
            await self._seed(store, decision.limit)
        raise _unlearned()

    async def _seed(self, store: LimitStore, limit: Limit) -> None:
        used, mark = await self._learned(self._spent(limit))
        await store.seed(limit, used=used, mark=mark)

    async def _learned(self, answer: Awaitable[tuple[int, int]]) -> tuple[int, int]:
        try:
            return await answer
        except StoreUnavailable as failure:
            said = "What was spent of a budget cannot be read now: the database does not answer."
            raise LedgerUnavailable(said, retry_after_s=1.0) from failure

    # -- while the shared store is away

    async def _stand_in(self, ask: Ask, failure: StoreUnavailable) -> Held | Refused:
        here = self._here
        if here is None:
            here = self._here = self._new_here()
            self._log.warning("limits are kept by this process alone", cause=str(failure), workers=self.workers)
        await self._take_up(here, ask)
        decision, life = await self._decide(here, ask)
        if isinstance(decision, Refused):
            return decision
        decision.local = True
        return Held(decision, here, life)

    async def _take_up(self, here: MemoryLimits, ask: Ask) -> None:
        for limit in _limits(ask):
            if here.seen(limit) is None:
                await self._go_on(here, limit)

    async def _go_on(self, here: MemoryLimits, limit: Limit) -> None:
        """Begin where the shared store was last heard: money at this process's share, windows at what stood in them."""
        if limit.kind == "money":
            await here.seed(limit, used=limit.amount - await self._share(limit), mark=0)
        elif limit.kind != "concurrency" and (stood := self._store.seen(limit)):
            here.resume(limit, used=stood)

    async def _share(self, limit: Limit) -> int:
        """What this process may spend of what was left of a budget."""
        used = self._store.seen(limit)
        if used is None:
            used, _ = await self._learned(self._spent(limit))
        return max(limit.amount - used, 0) // max(self.workers, 1)

    # -- money, whatever becomes of the shared store's memory

    def _spending(self, held: Held, settlement: Settlement | None) -> Spending | None:
        """What must not be forgotten though the store may lose its memory."""
        if settlement is None or not settlement.nano_usd:
            return None
        limits = held.budgets
        return self.spendings.begin(held.lease.id, limits, settlement.nano_usd) if limits else None

    def _settled(self, held: Held, spending: Spending | None, known: bool, life: str) -> None:  # noqa: FBT001
        """It is the grant's life that may be lost: by the time a failure is heard of, the next one may have begun."""
        if spending is None:
            return
        if held.store is not self._store or (not known and held.life != self._store.life):
            self.spendings.settled(spending, life=NONE)
        elif known:
            self.spendings.settled(spending, life=life)


def _unlearned() -> LedgerUnavailable:
    return LedgerUnavailable("What was spent of the budgets cannot be learned now.", retry_after_s=1.0)


def _limits(ask: Ask) -> Iterator[Limit]:
    for claims in (ask.callers, *ask.candidates):
        yield from limits_among(claims)
