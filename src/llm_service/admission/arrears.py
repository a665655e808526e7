"""What could not be told to a store while it was away, told to it when it is back, in the order in which it came."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from llm_service.domain import Lease, Limit, Settlement
from llm_service.runtime import Clock, Tasks
from llm_service.storage import LimitStore, StoreUnavailable

AGAIN_S: Final = 0.25
Telling = Callable[[], Awaitable[None]]


class Arrears:
    """A queue with one task of its own while something is in it. Every entry is idempotent at the store."""

    def __init__(self, store: LimitStore, *, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._waiting: deque[Telling] = deque()
        self._telling: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def give_back(self, holder: str, lease_id: str) -> None:
        """A lease whose grant was never heard of."""

        async def tell() -> None:
            await self._store.settle_lost(holder, lease_id, None)

        self._put(tell)

    def settle(
        self, store: LimitStore, lease: Lease, settlement: Settlement | None, *, told: Callable[[bool, str], None]
    ) -> None:
        """A lease that is over. ``told``: whether the store knew it, and the store's life when it was asked."""

        async def tell() -> None:
            life = store.life
            told(await store.settle(lease, settlement), life)

        self._put(tell)

    def add(self, store: LimitStore, limits: Sequence[Limit], *, cost: int, mark: int) -> None:
        """Money of a record that the store has no lease for."""
        for limit in limits:
            self._put(lambda limit=limit: store.add(limit, cost=cost, mark=mark))  # type: ignore[misc]

    def _put(self, telling: Telling) -> None:
        self._waiting.append(telling)
        if self._telling is None:
            self._telling = self._tasks.spawn(self._tell(), name="tell the limit store what it missed")

    async def _tell(self) -> None:
        try:
            while self._waiting:
                try:
                    await self._waiting[0]()
                except StoreUnavailable:
                    await self._clock.sleep(AGAIN_S)
                except Exception as defect:  # noqa: BLE001 - reported; and the others are still to be told
                    self._waiting.popleft()
                    self._tasks.report("tell the limit store what it missed", defect)
                else:
                    self._waiting.popleft()
        finally:
            self._telling = None
