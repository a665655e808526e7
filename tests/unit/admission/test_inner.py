"""Requests that the service makes for the sake of one that is admitted: they pay, and take no place."""

from decimal import Decimal

import pytest

from llm_service.admission import Admitted, AllowanceOptions, LimitsOptions
from llm_service.domain import BudgetExceeded, Candidate, RateLimited
from tests.unit.admission.test_admission import CALLER, P, Q, World, chat

EVERYTHING = AllowanceOptions(
    requests_per_minute=1, tokens_per_minute=100_000, concurrent_requests=1, budget_usd=Decimal(1)
)


async def inner(world: World, number: int, *candidates: Candidate, later: tuple[Candidate, ...] = ()) -> Admitted:
    return await world.admission.admit(
        chat(max_tokens=10),
        lease_id=f"inner_{number}",
        caller=CALLER,
        user=None,
        candidates=candidates or (P,),
        later=later,
        inner=True,
    )


async def test_of_its_caller_s_limits_only_money_counts_and_of_its_provider_s_all_but_the_places() -> None:
    world = World(LimitsOptions(per_key=EVERYTHING, per_provider={"p": EVERYTHING}))
    held = (await inner(world, 1)).held
    assert held is not None
    assert [limit.kind for limit, _ in held.lease.callers] == ["money"]
    assert [limit.kind for limit, _ in held.lease.provider] == ["requests", "tokens", "money"]
    with pytest.raises(RateLimited):  # the provider takes one request a minute
        await inner(world, 2)


async def test_it_finds_room_beside_the_request_that_holds_the_last_place() -> None:
    world = World(LimitsOptions(per_key=EVERYTHING, per_provider={"p": AllowanceOptions(concurrent_requests=1)}))
    await world.admit(max_tokens=10)
    assert (await inner(world, 1)).inner


async def test_a_budget_that_is_used_up_refuses_it() -> None:
    world = World(LimitsOptions(per_key=AllowanceOptions(budget_usd=Decimal("0.000001"))))
    with pytest.raises(BudgetExceeded):
        await inner(world, 1)


async def test_its_further_attempts_take_no_places_either() -> None:
    world = World(LimitsOptions(per_provider={"q": AllowanceOptions(concurrent_requests=1)}))
    await world.admit(Q)
    admitted = await inner(world, 1, P, later=(Q,))
    assert await world.admission.swap(admitted, Q, called=True) is not None
    assert await world.admission.beside(admitted, Q, lease_id="beside") is not None


async def test_one_that_somebody_else_s_call_answers_takes_nothing() -> None:
    world = World(LimitsOptions(per_key=EVERYTHING))
    free = await world.admission.admit_free(chat(), lease_id="inner_1", caller=CALLER, user=None, inner=True)
    assert (free.held, free.inner) == (None, True)
