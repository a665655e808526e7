"""Reloading the settings: what asks for it, and how a process alone does it."""

import asyncio
from typing import Protocol

from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.supervisor.edition import Generation, Read, ReloadRefused, next_edition
from llm_service.supervisor.graphs import Graphs


class Reload(Protocol):
    """What a door calls to have the settings read again."""

    async def reload(self) -> Generation:
        """Read and check all settings, and let the whole service go by them, on every worker or on none.

        The generation that is in force then. Raises ReloadRefused; the settings in force stay.
        """


class LocalReload:
    """Reloads a process that serves alone."""

    def __init__(self, read: Read, *, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self.graphs: Graphs | None = None
        """Set once they are there: what they are built from may hold this object."""

    async def reload(self) -> Generation:
        """See :class:`Reload`. The files are read in a thread: requests go on."""
        async with self._one_at_a_time:
            if self.graphs is None:
                raise ReloadRefused("the service is starting")
            edition = await asyncio.to_thread(next_edition, self.graphs.current.edition, self._read, self._clock)
            await self.graphs.prepare(edition)
            if not self.graphs.commit():
                raise ReloadRefused("the service is shutting down")
            tell_reloaded(self.graphs.current.log, edition.generation, notes=edition.loaded.notes)
            return edition.generation


def tell_reloaded(log: Log, generation: Generation, *, notes: tuple[str, ...] = ()) -> None:
    """Log what is in force from now on."""
    log.info("reloaded", generation=generation.number)
    for note in notes:
        log.warning("configuration", note=note)


def tell_refused(log: Log, refused: ReloadRefused, *, generation: int) -> None:
    """Log why the settings of ``generation`` stay in force."""
    log.error("reload refused", generation=generation, reasons=list(refused.reasons))
