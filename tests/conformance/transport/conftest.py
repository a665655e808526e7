"""Both HTTP clients, one after the other: what a suite here says holds for each."""

from collections.abc import AsyncIterator

import pytest

from llm_service.transport import CLIENTS, Transport
from tests.support.upstream import MakeTransport, failed


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(client: str) -> MakeTransport:
    return CLIENTS[client]


@pytest.fixture
async def transport(make: MakeTransport) -> AsyncIterator[Transport]:
    transport = make(max_connections=4, on_failure=failed)
    yield transport
    await transport.aclose()
