"""Never more than a limit's amount in any 60 seconds, wherever they begin; and what may pass, passes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Ask, Claim, Lease, Limit, LimitKind, Settlement
from llm_service.storage import LimitStore, MemoryLimits, ValkeyLimits
from tests.support.clock import ManualClock
from tests.support.direct_valkey import DirectRunner, valkey_socket

__all__ = ["valkey_socket"]

AMOUNT = 10
Open = Callable[[ManualClock], AbstractAsyncContextManager[LimitStore]]
steps = st.lists(
    st.tuples(st.sampled_from((0.0, 0.1, 0.9, 1.0, 3.7, 20.0, 58.1, 59.9, 60.0)), st.integers(1, AMOUNT)),
    max_size=60,
)


@pytest.fixture(scope="module", params=["memory", "valkey"])
def open_store(request: pytest.FixtureRequest) -> Open:
    if request.param == "memory":
        return in_memory
    address = request.getfixturevalue("valkey_socket")

    @asynccontextmanager
    async def on_valkey(clock: ManualClock) -> AsyncIterator[LimitStore]:
        runner = DirectRunner(address)
        yield ValkeyLimits(runner, prefix=f"{uuid4().hex}:", holder="one", clock=clock, now=clock.time)
        await runner.aclose()

    return on_valkey


@asynccontextmanager
async def in_memory(clock: ManualClock) -> AsyncIterator[LimitStore]:
    yield MemoryLimits(clock)


async def admitted(store: LimitStore, kind: LimitKind, name: str, cost: int) -> bool:
    limit = Limit(key=kind, scope="key", subject="a", kind=kind, amount=AMOUNT)
    decision = await store.admit(Ask(lease_id=name, callers=[Claim(limit, cost)], candidates=[()]))
    if isinstance(decision, Lease):
        await store.settle(decision, Settlement(tokens=cost, nano_usd=0))
    return isinstance(decision, Lease)


async def passed(open_store: Open, kind: LimitKind, asked: list[tuple[float, int]]) -> list[tuple[float, int, bool]]:
    """When each was asked for, how much it was, and whether it passed."""
    clock, seen = ManualClock(), []
    async with open_store(clock) as store:
        for number, (delay_s, cost) in enumerate(asked):
            clock.advance(delay_s)
            seen.append((clock.time(), cost, await admitted(store, kind, f"{number}", cost)))
    return seen


@given(kind=st.sampled_from(("requests", "tokens")), asked=steps)
def test_no_60_seconds_hold_more_than_the_amount(
    open_store: Open, kind: LimitKind, asked: list[tuple[float, int]]
) -> None:
    seen = asyncio.run(passed(open_store, kind, asked))
    for begin, _, _ in seen:
        assert sum(cost for at, cost, granted in seen if granted and begin <= at < begin + 60) <= AMOUNT


@given(kind=st.sampled_from(("requests", "tokens")), asked=steps)
def test_what_has_room_in_the_last_61_seconds_passes(
    open_store: Open, kind: LimitKind, asked: list[tuple[float, int]]
) -> None:
    """Buckets are of one second: something comes back after 60 to 61 s, never later."""
    seen = asyncio.run(passed(open_store, kind, asked))
    for number, (now, cost, granted) in enumerate(seen):
        recent = sum(cost for at, cost, passed in seen[:number] if passed and at > now - 61)
        assert granted or recent + cost > AMOUNT
