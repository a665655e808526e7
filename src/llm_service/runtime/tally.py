"""How many of something are open, and a wait until none is."""

import asyncio


class Tally:
    """A count, for one event loop."""

    __slots__ = ("_empty", "count")

    def __init__(self) -> None:
        self.count = 0
        self._empty: asyncio.Event | None = None

    def add(self) -> None:
        """One more."""
        self.count += 1

    def remove(self) -> None:
        """One less."""
        self.count -= 1
        if self.count == 0 and self._empty is not None:
            self._empty.set()
            self._empty = None

    async def empty(self) -> None:
        """Until none is open."""
        while self.count:
            self._empty = self._empty or asyncio.Event()
            await self._empty.wait()
