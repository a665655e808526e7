"""Waiting for something to become so, without sleeping for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.timed import TooSlow

PATIENCE_S = 5.0


class TooLate(TooSlow, TimeoutError):
    """It did not become so in the time that it may take."""


async def until(state: Callable[[], Any], *, within_s: float | None = None) -> Any:
    """What the check gives as soon as it is true. Raises TimeoutError; TooLate where a test gives it its own time."""

    async def answered() -> Any:
        return state()

    return await until_answered(answered, within_s=within_s)


async def until_answered(state: Callable[[], Awaitable[Any]], *, within_s: float | None = None) -> Any:
    """The same for a check that has to ask somebody."""
    try:
        async with asyncio.timeout(PATIENCE_S if within_s is None else within_s):
            while not (found := await state()):  # noqa: ASYNC110 - the state is another process's or a socket's
                await asyncio.sleep(0.002)
    except TimeoutError:
        if within_s is None:
            raise
        raise TooLate(f"it was not so within {within_s:g} s") from None
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
