"""What a process reads of the logs that others write: for all who follow them here, in one call in a moment."""

import asyncio
from typing import Final

from llm_service.runtime import Clock, Tasks
from llm_service.storage import LogAsk, LogRead, StoreUnavailable, StreamStore

LOOK_S: Final = 0.02
"""Moments are so far apart."""


class Inbox:
    """Whoever waits for a moment wakes with all the others, so that what they read then is read in one call."""

    def __init__(self, store: StreamStore, *, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._moments: dict[int, asyncio.Future[None]] = {}
        self._asked: list[tuple[LogAsk, asyncio.Future[LogRead]]] = []

    async def moment(self, count: int = 1) -> None:
        """Wait for the next moment, or the one so many later."""
        now_s = self._clock.monotonic()
        number = int(round(now_s / LOOK_S, 6)) + count
        moment = self._moments.get(number)
        if moment is None:
            moment = self._moments[number] = asyncio.get_running_loop().create_future()
            self._clock.call_later(number * LOOK_S - now_s, lambda: self._moments.pop(number).set_result(None))
        await asyncio.shield(moment)

    async def read(self, log_id: str, *, after: int) -> LogRead:
        """What a log has after that number; whoever asks counts as its reader. Raises StoreUnavailable."""
        read: asyncio.Future[LogRead] = asyncio.get_running_loop().create_future()
        self._asked.append((LogAsk(log_id=log_id, after=after), read))
        if len(self._asked) == 1:
            self._tasks.spawn(self._read_all(), name="logs of other processes")
        return await read

    async def _read_all(self) -> None:
        asked, self._asked = self._asked, []
        try:
            found = await self._store.read([ask for ask, _ in asked])
        except StoreUnavailable as failure:
            for _, read in asked:
                if not read.done():
                    read.set_exception(StoreUnavailable(str(failure)))
        else:
            for (_, read), answer in zip(asked, found, strict=True):
                if not read.done():
                    read.set_result(answer)
        finally:
            for _, read in asked:
                read.cancel()  # those that have no answer
