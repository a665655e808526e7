"""A bounded set of connections to one server: taken, given back, or dropped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from llm_service.storage.valkey_wire import Wire


class Pool:
    """At most so many connections at once; whoever wants one more waits for its turn, in order.

    A connection whose use ended in an exception, also a cancellation, is dropped: a reply may still be on its way.
    """

    def __init__(self, make: Callable[[], Awaitable[Wire]], *, max_connections: int) -> None:
        self._make: Final = make
        self._turns = asyncio.Semaphore(max_connections)
        self._idle: list[Wire] = []
        self._generation = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A turn to hold one connection."""
        async with self._turns:
            yield

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        """A connection that is open as far as can be seen from here; within a turn."""
        generation = self._generation
        wire = await self._take()
        try:
            yield wire
        except BaseException:
            await wire.drop()
            raise
        await self._give(wire, generation)

    def add(self, wire: Wire) -> None:
        """One that was made elsewhere."""
        self._idle.append(wire)

    async def clear(self) -> None:
        """Drop all; those in use are dropped when their use ends."""
        self._generation += 1
        while self._idle:
            await self._idle.pop().drop()

    async def _take(self) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if await wire.is_idle():
                return wire
            await wire.drop()
        return await self._make()

    async def _give(self, wire: Wire, generation: int) -> None:
        if generation == self._generation:
            self._idle.append(wire)
        else:
            await wire.drop()
