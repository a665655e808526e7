"""Long work on the event loop, in short pieces."""

import asyncio
from typing import Final

from llm_service.runtime import Clock

HOLD_S: Final = 0.001
"""So long the event loop is held at a time."""
LOOK_EVERY: Final = 16
"""Pieces between two looks at the clock."""


class Pace:
    """Lets the event loop turn while something long is done on it."""

    __slots__ = ("_at", "_clock", "_count")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()
        self._count = 0

    @property
    def is_over(self) -> bool:
        """Whether the loop was held long enough; to be asked behind each piece."""
        self._count += 1
        return self._count % LOOK_EVERY == 0 and self._clock.monotonic() - self._at > HOLD_S

    async def rest(self) -> None:
        """Let the loop turn."""
        await asyncio.sleep(0)
        self._at = self._clock.monotonic()
