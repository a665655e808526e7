"""A stream that is read piece by piece, through whichever door."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from tests.support.doors.told import Piece, Told, added_up

PATIENCE_S = 30.0
"""How long a client waits for the next event before the test is lost."""


class Reading:
    """Pieces as they come; the last thing to come is how the stream ended, which no stream may leave out."""

    def __init__(self, events: AsyncIterator[Piece | Told]) -> None:
        self.pieces: list[Piece] = []
        self._events = events
        self._ended: Told | None = None

    async def next(self) -> Piece | None:
        """The next piece; ``None``: the stream has ended."""
        if self._ended is not None:
            return None
        async with asyncio.timeout(PATIENCE_S):
            event = await anext(self._events, None)
        assert event is not None, f"the stream just stopped after {len(self.pieces)} pieces"
        if isinstance(event, Told):
            self._ended = event
            return None
        self.pieces.append(event)
        return event

    async def take(self, count: int) -> list[Piece]:
        """The next so many pieces."""
        taken = [await self.next() for _ in range(count)]
        found = [piece for piece in taken if piece is not None]
        assert len(found) == count, f"there were {len(found)} pieces only, then {self._ended}"
        return found

    async def told(self) -> Told:
        """Read to the end."""
        while await self.next() is not None:
            pass
        assert self._ended is not None
        return replace(self._ended, choices=added_up(self.pieces), pieces=tuple(self.pieces))
