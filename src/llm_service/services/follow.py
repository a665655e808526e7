"""Following what other processes write into the database: looked at when told, and twice a second without."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks
from llm_service.storage import StoreUnavailable

POLL_S: Final = 0.5


class Follower:
    """Calls ``look`` again and again. While the database does not answer, what is known goes on, and is told once.

    ``what`` is followed, for the log: ``changes of keys``; ``meanwhile`` says what holds while it cannot be read.
    """

    def __init__(
        self, look: Callable[[], Awaitable[None]], *, what: str, meanwhile: str, clock: Clock, tasks: Tasks, log: Log
    ) -> None:
        self._look = look
        self._what = what
        self._meanwhile = meanwhile
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._away = False
        self.on_change: Callable[[StoreUnavailable | None], None] = lambda away: None
        """Called back with why the database does not answer, and with ``None`` once it does again."""
        self._due = asyncio.Event()

    def start(self) -> None:
        """Follow from now on, until the tasks' owner ends them."""
        self._tasks.spawn(self._follow(), name=self._what)

    def look_now(self) -> None:
        """Do not wait for the next time."""
        self._due.set()

    async def _follow(self) -> None:
        while True:
            self._due.clear()
            try:
                await self._look()
                self._tell_away(None)
            except StoreUnavailable as away:
                self._tell_away(away)
            except Exception as defect:  # noqa: BLE001 - without this task no change would ever take effect
                self._log.error(f"{self._what} cannot be read", exc_info=defect)
            timer = self._clock.call_later(POLL_S, self._due.set)
            try:
                await self._due.wait()
            finally:
                timer.cancel()

    def _tell_away(self, away: StoreUnavailable | None) -> None:
        if away is not None and not self._away:
            self._log.warning(f"{self._what} cannot be read; {self._meanwhile}", error=str(away))
        elif away is None and self._away:
            self._log.info(f"{self._what} are read again")
        if (away is not None) != self._away:
            self._away = away is not None
            self.on_change(away)
