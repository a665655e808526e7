"""A whole service in front of the sandbox, over real sockets."""

from collections.abc import AsyncIterator

import pytest

from llm_service.api import ServerOptions
from llm_service.config import Settings
from llm_service.sandbox import Sandbox
from tests.support.clock import StoppableClock
from tests.support.service import Running, running, simulated


@pytest.fixture
def upstream_clock() -> StoppableClock:
    """The sandbox's."""
    return StoppableClock()


@pytest.fixture
async def sandbox(upstream_clock: StoppableClock) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(seed=0, pace_s=0.0, clock=upstream_clock)
    await sandbox.start()
    yield sandbox
    await sandbox.aclose()


@pytest.fixture
def fast_lane() -> bool:
    """Whether hot routes go past ASGI; a file whose tests hold for either way says so."""
    return True


@pytest.fixture
async def gateway(sandbox: Sandbox, fast_lane: bool) -> AsyncIterator[Running]:
    """Short time-outs and keep-alives, so that a test of silence need not wait for it."""
    settings = Settings(
        server=ServerOptions(keep_alive_s=0.3, fast_lane=fast_lane),
        providers=simulated(sandbox.address, connect_s=1, first_chunk_s=2, idle_s=1.5, total_s=20),
    )
    async with running(settings) as service:
        yield service
