"""Work that one process of the deployment does at a time: who does it is a fact that the database keeps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from llm_service.runtime import Clock
from llm_service.storage import FactStore

STALE_S: Final = 900
"""After so long a process that has not finished never will; whoever has the turn is done well before."""


class Turn:
    """A turn by its name. ``holder`` names this process.

    The turn of a process that died is taken over when it is stale: by one process, since each claim is a text of its
    own and the take-over of one is a fact by its name, which stays.
    """

    def __init__(self, facts: FactStore, *, name: str, holder: str, clock: Clock) -> None:
        self._facts = facts
        self._name = name
        self._holder = holder
        self._clock = clock

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[bool]:
        """Whether it is this process's turn, until the block ends. Raises StoreUnavailable.

        A block that fails, or is cancelled, leaves the turn to go stale: what it began may still be on its way.
        """
        claim = f"{self._holder} {self._clock.time():.6f}"
        if not await self._claim(claim):
            yield False
            return
        yield True
        if await self._facts.get(self._name) == claim:
            await self._facts.put(self._name, None)

    async def _claim(self, claim: str) -> bool:
        held = await self._facts.put_if_absent(self._name, claim)
        if held == claim:
            return True
        began = float(held.rpartition(" ")[2])
        if self._clock.time() - began < STALE_S:
            return False
        if await self._facts.put_if_absent(f"{self._name} after {held}", claim) != claim:
            return False
        await self._facts.put(self._name, claim)
        return True
