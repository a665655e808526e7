"""A provider that drips, through every streaming door: before the first content a time-out, after it an error event."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from llm_service.sandbox import Sandbox
from tests.support.doors import StreamingDoor, chat
from tests.support.doors.asks import MODELS, PLAIN, each_streaming
from tests.support.service import Running, running, simulated
from tests.support.shared_answers import all_records, settings_for
from tests.support.waiting import until

pytestmark = pytest.mark.timed

SLOW = "tokens-400+pace-40ms"
"""Some 250 bytes 25 times a second."""


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    providers = simulated(
        sandbox.address, first_chunk_s=1.0, idle_s=60, total_s=60, min_bytes_per_s=100_000, slow_after_s=0.2
    )
    async with running(replace(settings_for(sandbox), providers=providers)) as service:
        yield service


@each_streaming
async def test_a_stream_that_drips_ends_with_an_error_that_names_the_bound(
    service: Running, sandbox: Sandbox, streaming: StreamingDoor
) -> None:
    async def dripped(model: str) -> None:
        async with streaming.stream(service.address, chat(model, sandbox=SLOW)) as reading:
            told = await reading.told()
        assert len(reading.pieces) > 1
        assert told.failure is not None
        assert (told.code, told.failure.provider) == ("upstream_timeout", model.partition("/")[0])
        assert "min_bytes_per_s: 100000, slow_after_s: 0.2 s" in told.failure.message

    await asyncio.gather(*map(dripped, MODELS))
    await until(lambda: sandbox.stats()["open"] == 0, within_s=1)
    records = await all_records(service)
    assert [(record["status"], record["error_code"]) for record in records] == [("error", "upstream_timeout")] * 3
    assert all(record["output_tokens"] > 0 for record in records)


@each_streaming
async def test_a_stream_that_gives_nothing_but_comments_is_a_plain_time_out(
    service: Running, streaming: StreamingDoor
) -> None:
    body = chat(PLAIN, sandbox="keep-alive-5s+keep-alive-every-20ms")
    async with streaming.stream(service.address, body) as reading:
        told = await reading.told()
    assert reading.pieces == []
    assert told.failure is not None
    assert (told.code, told.failure.retryable) == ("upstream_timeout", True)
    assert "first_chunk_s" in told.failure.message
