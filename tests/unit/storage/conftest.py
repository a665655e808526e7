"""Real servers, and clients that are closed after the test."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llm_service.runtime import SystemClock
from llm_service.storage import ValkeyClient, parse_store_url
from tests.support.waiting import loop_turns

Connect = Callable[..., Awaitable[ValkeyClient]]


def failed(work: str, failure: BaseException) -> None:
    raise AssertionError(work) from failure


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes a started client of a URL. The deadline is one that a busy machine keeps as well."""
    clients: list[ValkeyClient] = []

    async def connect(
        url: str, *, prefix: str = "llm:", deadline_s: float = 0.5, max_connections: int = 16
    ) -> ValkeyClient:
        client = ValkeyClient(
            parse_store_url(url),
            prefix=prefix,
            clock=SystemClock(),
            source=random.Random(len(clients)),
            on_failure=failed,
            deadline_s=deadline_s,
            max_connections=max_connections,
        )
        clients.append(client)
        await client.start()
        return client

    yield connect
    for client in clients:
        await client.aclose()
    await loop_turns()  # transports tell their protocols that they are closed
