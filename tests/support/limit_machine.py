"""A machine that takes each step on a limit store and on its model, and compares; what it is given to play with."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import inf
from typing import TypeVar
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from llm_service.domain import Ask, Claim, Lease, Limit, LimitKind, LimitScope, Settlement
from llm_service.storage import LimitStore, MemoryLimits, StoreUnavailable, ValkeyLimits
from tests.support.clock import ManualClock
from tests.support.direct_valkey import DirectRunner
from tests.support.limit_model import Granted, LimitModel

HOLDERS = ("one", "other")
LARGE = 10**15 + 1
"""Redis 7.0 writes it as 1e+15 unless it is told how."""

Answer = TypeVar("Answer")
Stores = dict[str, LimitStore]
Open = Callable[[ManualClock], tuple[Stores, Callable[[], Awaitable[None]]]]
Held = tuple[str, Lease, Ask]


def limit(key: str, scope: LimitScope, kind: LimitKind, amount: int, *, ends_at: int | None = None) -> Limit:
    period = None if kind != "money" else "total" if ends_at is None else "month"
    return Limit(key=key, scope=scope, subject="s", kind=kind, amount=amount, period=period, ends_at=ends_at)


CALLERS = (
    limit("key:requests", "key", "requests", 5),
    limit("key:tokens", "key", "tokens", 100),
    limit("key:concurrency", "key", "concurrency", 3),
    limit("key:money", "key", "money", 90, ends_at=2_000_000_000),
    limit("global:tokens", "global", "tokens", 5 * LARGE),
    limit("global:money", "global", "money", 4 * LARGE),
)
PROVIDERS = (
    (
        limit("a:requests", "provider", "requests", 3),
        limit("a:tokens", "provider", "tokens", 70),
        limit("a:concurrency", "provider", "concurrency", 2),
    ),
    (limit("b:requests", "provider", "requests", 2), limit("b:money", "provider", "money", 60)),
)
ALL = (*CALLERS, *PROVIDERS[0], *PROVIDERS[1])
BY_KEY = {one.key: one for one in ALL}
BUDGETS = tuple(one for one in ALL if one.kind == "money")

FORWARD_S = (0.4, 1.0, 7.3, 30.0, 59.0, 60.0, 61.0, 62.0, 200.0)
BACK_S = (0.5, 1.0, 5.0, 59.0, 60.0, 61.0, 100.0, 3600.0)
"""By how much clocks jump: around a window's length, and far beyond it."""

small = st.integers(0, 45)
large = st.one_of(st.integers(0, 3), st.integers(LARGE - 3, 2 * LARGE))
settlements = st.one_of(st.none(), st.builds(Settlement, tokens=small, nano_usd=small, provider=st.booleans()))


@st.composite
def claims(draw: st.DrawFn, limits: Sequence[Limit]) -> list[Claim]:
    chosen = [one for one in limits if draw(st.booleans())]
    return [Claim(one, draw(_costs(one))) for one in chosen]


def _costs(one: Limit) -> st.SearchStrategy[int]:
    if one.kind in {"requests", "concurrency"}:
        return st.just(1)
    return large if one.scope == "global" else small


candidates = st.lists(st.sampled_from(PROVIDERS).flatmap(claims), min_size=1, max_size=3)


class Limits(RuleBasedStateMachine):
    """Holders on one store, each step also taken by the model; ``open`` builds the stores."""

    leases = Bundle("leases")
    settled = Bundle("settled")

    def __init__(self, open_stores: Open) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.latest = self.clock.time()
        self.stores, self.close = open_stores(self.clock)
        in_memory = isinstance(self.stores[HOLDERS[0]], MemoryLimits)
        self.furthest_back_s = 120 if in_memory else inf
        """Beyond that, memory may have forgotten an idle window. Keys of Valkey end in real time: never in a test."""
        self.model = LimitModel()
        self.count = 0

    def call(self, answer: Awaitable[Answer]) -> Answer:
        async def awaited() -> Answer:
            return await answer

        return self.loop.run_until_complete(awaited())

    @property
    def second(self) -> int:
        return int(self.clock.time())

    @initialize(known=st.sets(st.sampled_from(BUDGETS)))
    def some_budgets_are_known(self, known: set[Limit]) -> None:
        for one in sorted(known, key=lambda one: one.key):
            self.seed(one, used=0, mark=5)

    @rule(
        target=leases,
        holder=st.integers(0, 1),
        callers=claims(CALLERS),
        candidates=candidates,
    )
    def admit(self, holder: int, callers: list[Claim], candidates: list[list[Claim]]) -> object:
        self.count += 1
        ask = Ask(lease_id=f"lease-{self.count}", callers=callers, candidates=candidates)
        name = list(self.stores)[holder % len(self.stores)]
        decision = self.call(self.stores[name].admit(ask))
        expected = self.model.admit(name, ask, self.second)
        if not isinstance(decision, Lease):
            assert decision == expected
            return multiple()
        assert Granted(decision.candidate, decision.second, list(decision.used)) == expected
        assert list(decision.provider) == candidates[decision.candidate]
        return name, decision, ask

    @rule(lease=leases)
    def ask_again(self, lease: Held) -> None:
        name, first, ask = lease
        if first.id in self.model.holders and ask.callers is first.callers:
            again = self.call(self.stores[name].admit(ask))
            assert isinstance(again, Lease)
            assert (again.candidate, again.second, again.used) == (first.candidate, first.second, first.used)

    @rule(target=leases, lease=consumes(leases), candidates=candidates, called=st.booleans())
    def swap(self, lease: Held, candidates: list[list[Claim]], called: bool) -> object:
        name, before, _ = lease
        ask = Ask(lease_id=before.id, callers=(), candidates=candidates)
        try:
            decision = self.call(self.stores[name].swap(before, ask, called=called))
        except StoreUnavailable:
            assert before.id not in self.model.holders
            return lease
        assert before.id in self.model.holders
        expected = self.model.swap(before.id, ask, self.second, called=called)
        if not isinstance(decision, Lease):
            assert decision == expected
            return lease
        assert Granted(decision.candidate, decision.second, list(decision.used)) == expected
        return name, decision, ask

    @rule(target=settled, lease=consumes(leases), settlement=settlements)
    def settle(self, lease: Held, settlement: Settlement | None) -> object:
        name, held, _ = lease
        assert self.call(self.stores[name].settle(held, settlement)) == self.model.settle(held.id, settlement)
        return lease

    @rule(lease=settled, settlement=settlements)
    def settle_again(self, lease: Held, settlement: Settlement | None) -> None:
        name, held, _ = lease
        assert not self.call(self.stores[name].settle(held, settlement))
        assert not self.call(self.stores[name].settle_lost(name, held.id, settlement))

    @rule(target=settled, lease=consumes(leases), settlement=settlements)
    def settle_for_another(self, lease: Held, settlement: Settlement | None) -> object:
        name, held, _ = lease
        by = next(iter(self.stores.values()))
        assert self.call(by.settle_lost(name, held.id, settlement)) == self.model.settle(held.id, settlement)
        return lease

    @rule(one=st.sampled_from(BUDGETS), used=small, mark=st.integers(0, 9))
    def seed(self, one: Limit, used: int, mark: int) -> None:
        self.call(next(iter(self.stores.values())).seed(one, used=used, mark=mark))
        self.model.seed(one, used=used, mark=mark)

    @rule(one=st.sampled_from(BUDGETS), cost=small, mark=st.integers(0, 20))
    def add(self, one: Limit, cost: int, mark: int) -> None:
        self.call(next(iter(self.stores.values())).add(one, cost=cost, mark=mark))
        self.model.add(one, cost=cost, mark=mark)

    @rule(by_s=st.sampled_from(FORWARD_S))
    def time_passes(self, by_s: float) -> None:
        self.clock.advance(by_s)
        self.latest = max(self.latest, self.clock.time())

    @rule(by_s=st.sampled_from(BACK_S))
    def clock_is_set_back(self, by_s: float) -> None:
        if self.latest - (self.clock.time() - by_s) < self.furthest_back_s:
            self.clock.set_back(by_s)

    @rule()
    def the_other_falls_silent(self) -> None:
        """It may come back: then its leases are gone, and it holds new ones."""
        one, *others = self.stores
        expected = sum(self.model.reap(other) for other in others)
        assert self.call(self.stores[one].reap(silent_s=0)) == expected

    @rule()
    def all_is_read(self) -> None:
        states = self.call(next(iter(self.stores.values())).read(ALL))
        expected = [self.model.read(one, self.second) for one in ALL]
        assert [(state.used, state.reserved) for state in states] == expected

    @rule()
    def beat(self) -> None:
        for store in self.stores.values():
            assert 1 <= self.call(store.beat()) <= len(self.stores)

    @invariant()
    def nothing_stands_beyond_its_limit(self) -> None:
        for one in ALL:
            if one.kind == "money" and one.key in self.model.budgets:
                used, reserved = self.model.read(one, self.second)
                assert (used or 0) + (reserved or 0) <= one.amount + self.model.beyond.get(one.key, 0)

    def teardown(self) -> None:
        try:
            self.all_is_read()
        finally:
            self.shut()

    def shut(self) -> None:
        self.call(self.close())
        self.loop.close()


@pytest.fixture(params=["memory", "valkey"])
def open_stores(request: pytest.FixtureRequest) -> Open:
    """The stores of all holders on one empty store, and how to close them."""
    if request.param == "memory":
        return open_memory
    return partial(open_valkey, request.getfixturevalue("valkey_socket"))


def open_memory(clock: ManualClock) -> tuple[Stores, Callable[[], Awaitable[None]]]:
    async def close() -> None:
        pass

    return {"one": MemoryLimits(clock)}, close


def open_valkey(path: str, clock: ManualClock) -> tuple[Stores, Callable[[], Awaitable[None]]]:
    runner, prefix = DirectRunner(path), f"{uuid4().hex}:"
    stores: Stores = {
        name: ValkeyLimits(runner, prefix=prefix, holder=name, clock=clock, now=clock.time) for name in HOLDERS
    }
    return stores, runner.aclose
