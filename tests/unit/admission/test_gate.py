"""The way to the limit store: budgets are seeded, and this process stands in while a shared store is away."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from llm_service.admission import Arrears, Gate, Held
from llm_service.domain import Ask, Claim, LedgerUnavailable, Limit, Refused, Settlement
from llm_service.runtime import Tasks
from llm_service.storage import MemoryLimits, StoreUnavailable
from tests.support.clock import ManualClock
from tests.support.service import LogLines
from tests.support.waiting import until

REQUESTS = Limit(key="requests:key:k", scope="key", subject="k", kind="requests", amount=3)
BUDGET = Limit(key="money:key:k:total", scope="key", subject="k", kind="money", amount=1000, period="total")


class Shared(MemoryLimits):
    """A shared store that can go away, and come back with or without its memory."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.reach = "cluster"
        self.clock = clock
        self.away = False
        self.lives = 1

    @property
    def life(self) -> str:
        return f"life {self.lives}"

    def restart(self) -> None:
        lives = self.lives + 1
        self.__init__(self.clock)  # type: ignore[misc]
        self.lives = lives

    def __getattribute__(self, name: str):  # type: ignore[no-untyped-def]
        if name in {"admit", "settle", "settle_lost", "swap", "add", "seed"} and object.__getattribute__(self, "away"):
            raise StoreUnavailable("the store does not answer")
        return object.__getattribute__(self, name)


class Books:
    """What the ledger has: spent of every budget, and marks that come when the test says."""

    def __init__(self) -> None:
        self.used = 0
        self.mark = 7
        self.away = False
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.waiting: list[tuple[str, Callable[[int], None]]] = []

    async def spent(self, limit: Limit) -> tuple[int, int]:
        self.asked += 1
        await self.answers.wait()
        if self.away:
            raise StoreUnavailable("the database does not answer")
        return self.used, self.mark

    def when_shipped(self, request_id: str, callback: Callable[[int], None]) -> None:
        self.waiting.append((request_id, callback))


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Shared(self.clock)
        self.books = Books()
        self.log = LogLines()
        self.tasks = Tasks(lambda work, failure: pytest.fail(f"{work}: {failure!r}"))
        self.arrears = Arrears(self.store, clock=self.clock, tasks=self.tasks)
        self.gate = Gate(
            self.store,
            here=lambda: MemoryLimits(self.clock),
            spent=self.books.spent,
            when_shipped=self.books.when_shipped,
            arrears=self.arrears,
            holder="proc_1",
            log=self.log,
        )

    async def admit(self, lease_id: str, *claims: Claim) -> Held | Refused:
        return await self.gate.admit(Ask(lease_id=lease_id, callers=claims, candidates=[[]]))

    async def stands(self, limit: Limit) -> tuple[int | None, int | None]:
        (state,) = await self.store.read([limit])
        return state.used, state.reserved

    async def beat(self) -> None:
        """As the pulse does."""
        witness = self.gate.spendings.witness()
        await self.store.beat()
        self.gate.spendings.witnessed(witness)

    async def spend(self, lease_id: str, nano_usd: int) -> None:
        held = await self.admit(lease_id, Claim(BUDGET, 200))
        assert isinstance(held, Held)
        await self.gate.settle(held, Settlement(tokens=0, nano_usd=nano_usd))

    async def catch_up(self) -> None:
        self.clock.advance(1)
        await until(lambda: not len(self.arrears))


@pytest.fixture
def world() -> World:
    return World()


async def test_an_unknown_budget_is_seeded_from_the_ledger_and_asked_again(world: World) -> None:
    world.books.used = 400
    held = await world.admit("r1", Claim(BUDGET, 100))
    assert isinstance(held, Held)
    assert (await world.stands(BUDGET), world.books.asked) == ((400, 100), 1)


async def test_many_at_once_learn_of_a_budget_together(world: World) -> None:
    world.books.used, world.books.answers = 400, asyncio.Event()
    asking = [asyncio.create_task(world.admit(f"r{number}", Claim(BUDGET, 100))) for number in range(10)]
    await until(lambda: world.books.asked == 1)
    asking.pop(0).cancel()  # who asked for all of them
    await until(lambda: world.books.asked == 2)
    world.books.answers.set()
    granted = [isinstance(one, Held) for one in await asyncio.gather(*asking)]
    assert (granted.count(True), world.books.asked) == (6, 2)
    assert await world.stands(BUDGET) == (400, 600)


async def test_who_learns_together_fails_together_and_later_asks_anew(world: World) -> None:
    world.books.away, world.books.answers = True, asyncio.Event()
    asking = [asyncio.create_task(world.admit(f"r{number}", Claim(BUDGET, 100))) for number in range(3)]
    await until(lambda: world.books.asked == 1)
    await asyncio.sleep(0)
    world.books.answers.set()
    failures = await asyncio.gather(*asking, return_exceptions=True)
    assert ([type(one) for one in failures], world.books.asked) == ([LedgerUnavailable] * 3, 1)
    world.books.away = False
    assert isinstance(await world.admit("later", Claim(BUDGET, 100)), Held)


async def test_what_was_spent_cannot_be_learned_without_the_database(world: World) -> None:
    world.books.away = True
    with pytest.raises(LedgerUnavailable):
        await world.admit("r1", Claim(BUDGET, 100))
    assert (await world.stands(BUDGET))[0] is None


async def test_a_refusal_says_which_limit(world: World) -> None:
    world.books.used = 950
    refused = await world.admit("r1", Claim(REQUESTS, 1), Claim(BUDGET, 100))
    assert isinstance(refused, Refused)
    assert (refused.limit, refused.used) == (BUDGET, 950)


async def test_this_process_stands_in_with_the_full_limits_of_requests(world: World) -> None:
    world.store.away = True
    outcomes = [await world.admit(f"r{n}", Claim(REQUESTS, 1)) for n in range(5)]
    assert [isinstance(outcome, Held) for outcome in outcomes] == [True, True, True, False, False]
    assert world.gate.local
    assert [line["event"] for line in world.log.lines] == ["limits are kept by this process alone"]


async def test_a_window_goes_on_from_what_the_store_was_last_heard_to_hold(world: World) -> None:
    await world.admit("a", Claim(REQUESTS, 1))
    await world.admit("b", Claim(REQUESTS, 1))
    world.store.away = True
    assert isinstance(await world.admit("c", Claim(REQUESTS, 1)), Held)
    assert isinstance(await world.admit("d", Claim(REQUESTS, 1)), Refused)
    world.clock.advance(61)
    assert isinstance(await world.admit("e", Claim(REQUESTS, 1)), Held)


async def test_money_is_what_was_left_divided_by_the_workers(world: World) -> None:
    world.books.used = 200
    await world.admit("before", Claim(BUDGET, 0))
    world.store.away = True
    world.gate.workers = 4
    first = await world.admit("r1", Claim(BUDGET, 200))
    second = await world.admit("r2", Claim(BUDGET, 1))
    assert isinstance(first, Held)
    assert isinstance(second, Refused)
    assert world.books.asked == 1  # what was seen last is what counts


async def test_the_shared_limits_hold_again_as_soon_as_the_store_is_back(world: World) -> None:
    world.store.away = True
    await world.admit("r1", Claim(REQUESTS, 1))
    world.store.away = False
    await world.admit("r2", Claim(REQUESTS, 1))
    assert not world.gate.local
    assert await world.stands(REQUESTS) == (1, 0)


async def test_money_spent_meanwhile_is_added_when_its_record_is_in_the_ledger(world: World) -> None:
    await world.admit("before", Claim(BUDGET, 0))
    world.store.away = True
    held = await world.admit("r1", Claim(BUDGET, 200))
    assert isinstance(held, Held)
    await world.gate.settle(held, Settlement(tokens=0, nano_usd=150))
    world.store.away = False
    ((request_id, shipped),) = world.books.waiting
    shipped(8)
    await world.catch_up()
    assert (request_id, (await world.stands(BUDGET))[0]) == ("r1", 150)


async def test_money_that_the_seed_has_already_is_not_added_again(world: World) -> None:
    world.store.away = True
    held = await world.admit("r1", Claim(BUDGET, 200))
    assert isinstance(held, Held)
    await world.gate.settle(held, Settlement(tokens=0, nano_usd=150))
    world.store.away = False
    world.books.used, world.books.mark = 150, 8
    await world.admit("r2", Claim(BUDGET, 0))
    world.books.waiting[0][1](8)
    await world.catch_up()
    assert (await world.stands(BUDGET))[0] == 150


async def test_a_lease_that_ends_while_the_store_is_away_is_settled_later(world: World) -> None:
    held = await world.admit("r1", Claim(BUDGET, 200), Claim(replace(REQUESTS, kind="concurrency", key="c"), 1))
    assert isinstance(held, Held)
    world.store.away = True
    await world.gate.settle(held, Settlement(tokens=0, nano_usd=150))
    world.store.away = False
    await world.catch_up()
    world.books.waiting[0][1](8)
    await world.beat()
    await world.catch_up()
    assert await world.stands(BUDGET) == (150, 0)


async def test_a_lease_lost_with_the_store_s_memory_is_added_by_its_record(world: World) -> None:
    held = await world.admit("r1", Claim(BUDGET, 200))
    assert isinstance(held, Held)
    world.store.restart()
    await world.admit("r2", Claim(BUDGET, 0))
    await world.gate.settle(held, Settlement(tokens=0, nano_usd=150))
    world.books.waiting[0][1](8)
    await world.catch_up()
    assert (await world.stands(BUDGET))[0] == 150


async def test_a_lease_that_was_settled_before_is_not_counted_again(world: World) -> None:
    held = await world.admit("r1", Claim(BUDGET, 200))
    assert isinstance(held, Held)
    for _ in range(2):
        await world.gate.settle(held, Settlement(tokens=0, nano_usd=150))
    for _, shipped in world.books.waiting:
        shipped(8)
    await world.beat()
    assert (await world.stands(BUDGET), len(world.arrears)) == ((150, 0), 0)


async def test_a_lease_whose_end_met_the_store_s_new_life_is_added_by_its_record(world: World) -> None:
    """The failure is heard of when the next life has begun: it is the grant's life that was lost."""
    held = await world.admit("r1", Claim(BUDGET, 200))
    assert isinstance(held, Held)
    world.store.away = True
    world.store.lives += 1
    await world.gate.settle(held, Settlement(tokens=0, nano_usd=150))
    world.store.restart()
    await world.admit("r2", Claim(BUDGET, 0))
    await world.catch_up()
    world.books.waiting[0][1](8)
    await world.catch_up()
    assert (await world.stands(BUDGET))[0] == 150


async def test_a_record_that_came_to_the_ledger_long_before_the_store_was_back_is_added(world: World) -> None:
    """The ledger tells marks of the newest records alone: one asks for them when the lease ends, not afterwards."""
    held = await world.admit("r1", Claim(BUDGET, 200))
    assert isinstance(held, Held)
    world.store.away = True
    await world.gate.settle(held, Settlement(tokens=0, nano_usd=150))
    world.books.waiting.pop()[1](8)
    world.store.restart()
    await world.store.seed(BUDGET, used=0, mark=7)
    await world.catch_up()
    assert (await world.stands(BUDGET))[0] == 150
    assert not world.books.waiting


async def test_what_was_settled_is_added_to_a_life_that_was_seeded_before_the_ledger_had_it(world: World) -> None:
    await world.spend("r1", 150)
    world.store.restart()
    await world.store.seed(BUDGET, used=0, mark=7)  # by another process
    world.books.waiting[0][1](8)
    await world.catch_up()
    assert (await world.stands(BUDGET))[0] == 150


async def test_so_is_what_the_ledger_had_before_the_loss_was_noticed(world: World) -> None:
    await world.spend("r1", 150)
    world.books.waiting[0][1](8)
    world.store.restart()
    await world.store.seed(BUDGET, used=0, mark=7)
    await world.beat()
    await world.catch_up()
    assert (await world.stands(BUDGET))[0] == 150


async def test_what_the_seed_of_a_new_life_has_is_not_added(world: World) -> None:
    await world.spend("r1", 150)
    world.books.waiting[0][1](8)
    world.store.restart()
    await world.store.seed(BUDGET, used=150, mark=8)
    await world.beat()
    await world.catch_up()
    assert (await world.stands(BUDGET))[0] == 150


async def test_nothing_is_remembered_once_the_store_has_answered_after_the_ledger(world: World) -> None:
    await world.spend("r1", 150)
    world.books.waiting[0][1](8)
    assert world.gate.spendings.witness().unsure == 1
    await world.beat()
    assert world.gate.spendings.witness().unsure == 0
    assert await world.stands(BUDGET) == (150, 0)


async def test_a_grant_that_was_never_heard_of_is_given_back(world: World) -> None:
    await world.store.admit(Ask(lease_id="r1", callers=[Claim(REQUESTS, 1)], candidates=[[]]))  # its answer was lost
    world.store.away = True
    await world.admit("r1", Claim(REQUESTS, 1))
    world.store.away = False
    await world.catch_up()
    assert await world.stands(REQUESTS) == (0, 0)
