"""What nothing hinders is admitted without the general way, and settled without a wait."""

from decimal import Decimal
from typing import Any

import pytest

from llm_service.admission import AllowanceOptions, Gate, LimitsOptions
from llm_service.domain import Ask, RateLimited, Settlement
from llm_service.runtime import DONE
from tests.unit.admission.test_admission import CALLER, P, Q, World, chat

AMPLE = AllowanceOptions(
    requests_per_minute=10**6, tokens_per_minute=10**9, concurrent_requests=10**6, budget_usd=Decimal(10**6)
)
USED = Settlement(tokens=7, nano_usd=9)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The leases that the general way has asked for."""
    leases: list[str] = []
    admit = Gate.admit

    async def noted(gate: Gate, ask: Ask) -> Any:
        leases.append(ask.lease_id)
        return await admit(gate, ask)

    monkeypatch.setattr(Gate, "admit", noted)
    return leases


async def test_the_first_request_learns_of_budgets_in_the_general_way_and_the_next_are_admitted_at_once(
    asked: list[str],
) -> None:
    world = World(LimitsOptions(everybody=AMPLE, per_key=AMPLE, per_provider={"p": AMPLE}))
    granted = [await world.admit(P, Q) for _ in range(3)]
    assert asked == ["req_1"]
    assert [[claim.cost for claim in one.held.lease.callers] for one in granted] == [[1, 33_000, 1, 33_000_000] * 2] * 3


async def test_a_full_limit_of_requests_refuses_at_once(asked: list[str]) -> None:
    world = World(LimitsOptions(per_key=AllowanceOptions(requests_per_minute=1)))
    await world.admit()
    with pytest.raises(RateLimited, match="of 1 requests a minute has no room"):
        await world.admit()
    assert asked == []


async def test_a_limit_that_a_smaller_answer_may_fit_is_left_to_the_general_way(asked: list[str]) -> None:
    world = World(LimitsOptions(everybody=AMPLE, per_key=AllowanceOptions(tokens_per_minute=5_000)))
    assert (await world.admit()).cap == 4_900
    assert asked[0] == "req_1"


async def test_a_place_is_taken_at_once(asked: list[str]) -> None:
    world = World(LimitsOptions(per_key=AllowanceOptions(requests_per_minute=1, tokens_per_minute=1)))
    admitted = await world.admission.admit_free(chat(), lease_id="free", caller=CALLER, user=None)
    assert (admitted.held is not None, admitted.candidate, asked) == (True, 0, [])


async def test_what_is_held_is_settled_before_anybody_waits() -> None:
    world = World(LimitsOptions(per_key=AllowanceOptions(concurrent_requests=1)))
    admitted = await world.admit()
    assert world.admission.settle(admitted, USED) is DONE
    assert await world.admission.settle(await world.admit(), USED) is None
