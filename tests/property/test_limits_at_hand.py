"""A memory store that is asked by sets of limits, whose counters it has at hand, does what the model does as well."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis.stateful import run_state_machine_as_test

from llm_service.domain import Ask, Claim, Claims, Decision, Lease, LimitSet
from llm_service.storage import MemoryLimits
from tests.property.test_limits_walk import SEED, walk
from tests.support.clock import ManualClock
from tests.support.limit_machine import Limits, Stores

EPISODES = 500
"""A second of them."""


class AskedBySets(MemoryLimits):
    """Turns the claims of every ask into claims on a set of limits that it has met before, if it has."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.met: dict[tuple[str, ...], LimitSet] = {}

    async def admit(self, ask: Ask) -> Decision:
        return self.admit_at_once(self.by_sets(ask))

    async def swap(self, lease: Lease, ask: Ask, *, called: bool) -> Decision:
        return await super().swap(lease, self.by_sets(ask), called=called)

    def by_sets(self, ask: Ask) -> Ask:
        return Ask(ask.lease_id, self.claims(ask.callers), [self.claims(some) for some in ask.candidates])

    def claims(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        limits = [limit for limit, _ in claims]
        met = self.met.setdefault(tuple(limit.key for limit in limits), LimitSet(limits))
        return Claims(met, [cost for _, cost in claims])


def open_asked_by_sets(clock: ManualClock) -> tuple[Stores, Callable[[], Awaitable[None]]]:
    async def close() -> None:
        pass

    return {"one": AskedBySets(clock)}, close


@pytest.mark.timeout(600)  # a failure is shrunk first
def test_store_does_what_the_model_does() -> None:
    run_state_machine_as_test(lambda: Limits(open_asked_by_sets))


@pytest.mark.timeout(600)
def test_store_does_what_the_model_does_wherever_a_walk_comes() -> None:
    walk(open_asked_by_sets, seed=SEED, episodes=EPISODES)
