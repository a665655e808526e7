"""A limit for the answers of others: it ends the waiting, and our own busyness does not use it up."""

import asyncio
import socket
import time

import pytest

from llm_service.runtime import Patience
from tests.support.waiting import loop_turns


async def test_it_ends_the_waiting_in_time() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with Patience(0.05):
            await asyncio.Event().wait()
    assert time.monotonic() - begun >= 0.05


async def test_what_is_done_in_time_is_left_alone() -> None:
    async with Patience(5):
        await loop_turns()
    await loop_turns()


async def test_a_busy_event_loop_still_reads_what_came_in_time() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    theirs.sendall(b"answer")
    loop = asyncio.get_running_loop()
    for _ in range(3):
        loop.call_soon(time.sleep, 0.06)  # longer than the limit, in which the answer has come
    async with Patience(0.05):
        assert await reader.readexactly(6) == b"answer"
    writer.close()
    theirs.close()


async def test_a_cancellation_from_outside_is_one() -> None:
    async def wait() -> None:
        async with Patience(5):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await loop_turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
