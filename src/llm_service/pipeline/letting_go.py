"""Idempotency keys of which nobody knows whether a request that has ended holds them: they are let go."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from llm_service.runtime import Clock, Tasks
from llm_service.storage import ReplayStore, StoreUnavailable

TRY_S: Final = 0.5
"""How often one tries to tell a database that is away what has become of a key."""
TIMES: Final = 2
"""So often a key is let go that its request does not seem to hold: the call that was to take it may yet do so."""
MOST_OWED: Final = 10_000


@dataclass(slots=True)
class _Owed:
    tenant: str
    idempotency_key: str
    ends_at: float
    left: int = TIMES


class LettingGo:
    """Tells the database again and again, one at a time for all of them, until it answers or the keys are free anyway.

    A bounded number is remembered, the newest.
    """

    def __init__(self, store: ReplayStore, *, clock: Clock, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._owed: dict[str, _Owed] = {}
        self._running = False

    def owe(self, tenant: str, idempotency_key: str, *, request_id: str, within_s: float) -> None:
        """Let a key go that a request, which has ended, may hold for ``within_s`` more."""
        self._owed[request_id] = _Owed(tenant, idempotency_key, self._clock.monotonic() + within_s)
        while len(self._owed) > MOST_OWED:
            del self._owed[next(iter(self._owed))]
        if not self._running:
            self._running = True
            self._tasks.spawn(self._let_go_all(), name="idempotency keys")

    async def _let_go_all(self) -> None:
        try:
            while self._owed:
                await self._clock.sleep(TRY_S)
                with suppress(StoreUnavailable):  # then once more
                    for request_id, owed in tuple(self._owed.items()):
                        await self._let_go(request_id, owed)
        finally:
            self._running = False

    async def _let_go(self, request_id: str, owed: _Owed) -> None:
        gone = self._clock.monotonic() >= owed.ends_at
        if not gone:
            gone = await self._store.give_up(owed.tenant, owed.idempotency_key, request_id=request_id)
            owed.left -= 1
        if gone or owed.left <= 0:
            self._owed.pop(request_id, None)
