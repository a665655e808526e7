"""The gate over a store that loses its memory: what was spent stands in the budgets of every life."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from llm_service.admission import Arrears, Gate, Held
from llm_service.domain import Ask, Claim, Decision, Lease, Limit, LimitState, Settlement
from llm_service.runtime import Tasks
from llm_service.storage import MemoryLimits
from tests.support.clock import ManualClock
from tests.support.service import LogLines

BUDGET = Limit(key="money:global::total", scope="global", subject="", kind="money", amount=1000, period="total")
USED = Settlement(tokens=3, nano_usd=40)


class Forgetful:
    """A store whose memory can go."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._lives = 0
        self.forget()

    def forget(self) -> None:
        self._lives += 1
        self._memory = MemoryLimits(self._clock, life=f"life {self._lives}")

    @property
    def life(self) -> str:
        return self._memory.life

    async def admit(self, ask: Ask) -> Decision:
        return await self._memory.admit(ask)

    async def settle(self, lease: Lease, settlement: Settlement | None) -> bool:
        return await self._memory.settle(lease, settlement)

    async def seed(self, limit: Limit, *, used: int, mark: int) -> None:
        await self._memory.seed(limit, used=used, mark=mark)

    async def add(self, limit: Limit, *, cost: int, mark: int) -> None:
        await self._memory.add(limit, cost=cost, mark=mark)

    async def read(self, limits: Sequence[Limit]) -> Sequence[LimitState]:
        return await self._memory.read(limits)


class World:
    """A gate, and a ledger that ships when it is told to."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Forgetful(self.clock)
        self.ship = dict[str, Callable[[int], None]]()
        arrears = Arrears(self.store, clock=self.clock, tasks=Tasks(self._failed))  # type: ignore[arg-type]
        self.gate = Gate(
            self.store,  # type: ignore[arg-type]
            here=lambda: MemoryLimits(self.clock, life="here"),
            spent=self._spent,
            when_shipped=self.ship.__setitem__,
            arrears=arrears,
            holder="me",
            log=LogLines(),
        )

    async def spend(self, lease_id: str) -> None:
        held = await self.gate.admit(Ask(lease_id=lease_id, callers=[Claim(BUDGET, 300)], candidates=[]))
        assert isinstance(held, Held)
        await self.gate.settle(held, USED)

    async def stands_at(self, used: int) -> None:
        states: list[LimitState] = []
        for _ in range(20):
            states = list(await self.store.read([BUDGET]))
            if states[0].used == used:
                return
            await asyncio.sleep(0)
        raise AssertionError(f"{states[0].used} and not {used}")

    async def _spent(self, _: Limit) -> tuple[int, int]:
        return 100, 7

    def _failed(self, work: str, failure: BaseException) -> None:
        raise AssertionError(work) from failure


@pytest.fixture
async def world() -> World:
    return World()


async def test_what_is_shipped_after_another_seeded_the_new_life_is_added(world: World) -> None:
    await world.spend("a")
    world.store.forget()
    await world.store.seed(BUDGET, used=100, mark=7)
    world.ship["a"](8)
    await world.stands_at(140)


async def test_what_was_shipped_before_the_new_life_was_noticed_is_added_then(world: World) -> None:
    await world.spend("a")
    world.ship["a"](8)
    world.store.forget()
    await world.store.seed(BUDGET, used=100, mark=7)
    world.gate.store_returned()
    await world.stands_at(140)


async def test_what_the_seed_of_the_new_life_holds_is_not_added(world: World) -> None:
    await world.spend("a")
    world.ship["a"](8)
    world.store.forget()
    await world.store.seed(BUDGET, used=140, mark=8)
    world.gate.store_returned()
    await world.stands_at(140)
    assert (await world.store.read([BUDGET]))[0].used == 140


async def test_within_one_life_the_lease_alone_counts(world: World) -> None:
    await world.spend("a")
    world.ship["a"](8)
    await world.stands_at(140)
    world.gate.store_returned()
    await world.spend("b")
    await world.stands_at(180)
