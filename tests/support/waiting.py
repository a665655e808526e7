"""Waiting for something to become so, without sleeping for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def until(state: Callable[[], Any], *, within_s: float = 5.0) -> Any:
    """What the check gives as soon as it is true. Raises TimeoutError."""

    async def answered() -> Any:
        return state()

    return await until_answered(answered, within_s=within_s)


async def until_answered(state: Callable[[], Awaitable[Any]], *, within_s: float = 5.0) -> Any:
    """The same for a check that has to ask somebody."""
    async with asyncio.timeout(within_s):
        while not (found := await state()):  # noqa: ASYNC110 - the state is another process's or a socket's
            await asyncio.sleep(0.002)
    return found


def wait_until(state: Callable[[], Any], *, within_s: float = 20.0) -> Any:
    """The same outside the event loop: for fixtures, and servers that start."""
    deadline = time.monotonic() + within_s
    while not (found := state()):
        assert time.monotonic() < deadline, "a server did not get there in time"
        time.sleep(0.01)
    return found


async def loop_turns(count: int = 1) -> None:
    """Let the event loop go round so often: whatever needs no time, and no other process, goes on meanwhile."""
    for _ in range(count):
        await asyncio.sleep(0)
