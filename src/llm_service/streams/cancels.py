"""Which streams of this process were cancelled in another one."""

from collections.abc import Callable, Sequence
from typing import Final

from llm_service.runtime import Clock, Tasks, TimerHandle
from llm_service.storage import StoreUnavailable, StreamStore

LOOK_S: Final = 0.5
"""How often one looks while streams run; a message says so at once, but can be lost."""


class Cancels:
    """Looks for what is written: a cancellation is told once, however often one hears of it."""

    def __init__(self, store: StreamStore, *, clock: Clock, tasks: Tasks) -> None:
        self.on_cancelled: Callable[[str], None] = lambda stream_id: None
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._running: set[str] = set()
        self._done: Sequence[str] = ()
        self._timer: TimerHandle | None = None
        self._looking = False
        self._again = False

    def mind(self, stream_id: str, *, ended: bool) -> None:
        """A stream runs that others may cancel, or does so no longer."""
        if ended:
            self._running.discard(stream_id)
            return
        self._running.add(stream_id)
        if self._timer is None:
            self._timer = self._clock.call_later(LOOK_S, self._tick)

    def look(self) -> None:
        """Look now: there may be something."""
        self._again = bool(self._running)
        if self._again and not self._looking:
            self._looking = True
            self._tasks.spawn(self._look(), name="cancelled streams")

    def _tick(self) -> None:
        self._timer = self._clock.call_later(LOOK_S, self._tick) if self._running else None
        self.look()

    async def _look(self) -> None:
        try:
            while self._again:
                self._again = False
                self._done = await self._store.cancelled(self._done)  # they are forgotten there the next time
                for stream_id in self._done:
                    self.on_cancelled(stream_id)
        except StoreUnavailable:
            pass  # then at the next look
        finally:
            self._looking = False
