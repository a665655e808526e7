"""What dead processes held: settled where it still stands, added by its mark where its memory is gone."""

from dataclasses import replace

import pytest

from llm_service.admission import Lost
from llm_service.domain import Ask, Claim, Lease, Limit, Settlement
from llm_service.storage import MemoryLimits
from tests.support.clock import ManualClock
from tests.support.ledger_entries import an_intent

BUDGET = Limit(key="money:global::total", scope="global", subject="", kind="money", amount=1000, period="total")
USED = Settlement(tokens=3, nano_usd=40)


@pytest.fixture
async def store() -> MemoryLimits:
    made = MemoryLimits(ManualClock(), life="now")
    await made.seed(BUDGET, used=100, mark=7)
    return made


async def stands(store: MemoryLimits) -> tuple[int | None, int | None]:
    (state,) = await store.read([BUDGET])
    return state.used, state.reserved


async def told(store: MemoryLimits, *, life: str, mark: int = 8) -> None:
    intent = replace(an_intent(1), life=life, budgets=(BUDGET.key,))
    await Lost(store).settled(holder="dead", request_id="req_1", settlement=USED, intent=intent, mark=mark)


async def test_a_lease_that_still_stands_is_settled_once(store: MemoryLimits) -> None:
    lease = await store.admit(Ask(lease_id="req_1", callers=[Claim(BUDGET, 300)], candidates=[]))
    assert isinstance(lease, Lease)
    for _ in range(2):
        await told(store, life="now")
    assert await stands(store) == (140, 0)


async def test_a_lease_of_another_memory_is_added_once_by_its_record(store: MemoryLimits) -> None:
    for _ in range(2):
        await told(store, life="before")
    assert await stands(store) == (140, 0)


async def test_a_lease_that_was_granted_unheard_is_given_back_and_the_record_added_once(store: MemoryLimits) -> None:
    await store.admit(Ask(lease_id="req_1", callers=[Claim(BUDGET, 300)], candidates=[]))
    for _ in range(2):
        await told(store, life="of the process that stood in")
    assert await stands(store) == (140, 0)


async def test_what_the_seed_held_is_not_added(store: MemoryLimits) -> None:
    await told(store, life="before", mark=7)
    assert await stands(store) == (100, 0)


async def test_a_lease_of_this_memory_that_its_holder_settled_is_not_counted_again(store: MemoryLimits) -> None:
    await told(store, life="now")
    assert await stands(store) == (100, 0)
