"""What processes that ended have left in a data directory, brought to the database by one that does not serve."""

import asyncio
from pathlib import Path
from typing import Final

from llm_service.domain import fact
from llm_service.ledger.adopt import Adopter, OnLost
from llm_service.ledger.folder import make_folder, writers_in
from llm_service.ledger.ledger import FOLDER
from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.storage import LedgerStore

LOOK_EVERY_S: Final = 0.25
NOBODY: Final = ""


@fact
class Left:
    """How far it got: journals ``shipped``, those ``waiting`` to be, and those of processes that are ``living``."""

    shipped: int
    waiting: int
    living: int

    @property
    def nothing(self) -> bool:
        """Whether the data directory holds no record that the database lacks, and nobody writes any."""
        return not self.waiting and not self.living


class Leftovers:
    """The journals of a data directory. A service that serves from it meanwhile is in nobody's way."""

    def __init__(self, data_dir: Path, *, store: LedgerStore, on_lost: OnLost, clock: Clock, log: Log) -> None:
        self._folder = data_dir / FOLDER
        self._clock = clock
        self._adopter = Adopter(self._folder, own=NOBODY, store=store, on_lost=on_lost, clock=clock, log=log)

    async def ship(self, *, within_s: float) -> Left:
        """Ship all there is, and wait for the processes that still write. Raises OSError where it cannot be read."""
        await asyncio.to_thread(make_folder, self._folder)
        end_s, shipped = self._clock.monotonic() + within_s, 0
        while True:
            shipped += await self._adopter.round()
            waiting, there = self._adopter.waiting, await asyncio.to_thread(writers_in, self._folder)
            left = Left(shipped=shipped, waiting=waiting, living=max(0, len(there) - waiting))
            if left.nothing or self._clock.monotonic() >= end_s:
                return left
            await self._clock.sleep(LOOK_EVERY_S)
