"""A sandbox without pauses, and short words for asking it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llm_service.sandbox import Sandbox
from tests.support.clock import ManualClock
from tests.unit.sandbox.raw import Received, exchange

Ask = Callable[..., Awaitable[Received]]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(seed=7, pace_s=0) as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def slow_sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    """A sandbox whose time is turned by hand."""
    async with Sandbox(seed=7, pace_s=0, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    """Send a request on a connection of its own."""

    async def ask(data: bytes, *, at_most: int = 1 << 62) -> Received:
        return await exchange(sandbox.address, data, at_most=at_most)

    return ask
