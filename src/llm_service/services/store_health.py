"""How the stores are, for ``/health``: what is up, for whom it holds, and since when it is as it is."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from llm_service.admission import Gate
from llm_service.domain import fact
from llm_service.ledger import LedgerState
from llm_service.runtime import Clock
from llm_service.services.moments import moment_text
from llm_service.storage import Database, Reach, StoreState, StoreUnavailable

ASKED_FOR_S: Final = 1.0
"""How long an answer of the database counts, and how long one is waited for."""


@fact
class StoreHealth:
    """Reports without secrets and addresses. ``shared``: how the store of limits and kept answers is, ``None`` where
    both are in here. ``cache_reach``: for whom answers are kept while it is up."""

    gate: Gate
    cache_reach: Reach
    shared: Callable[[], StoreState] | None
    database: "DatabaseHealth"
    ledger: Callable[[], LedgerState]

    async def report(self) -> dict[str, Any]:
        """Everything that is known; waits for the database for a second at most."""
        state = None if self.shared is None else self.shared()
        return {
            "limits": {"reach": self.gate.reach, **_told(state), "stands_in": self.gate.local},
            "cache": {"reach": self.cache_reach if state is None or state.up else "process", **_told(state)},
            "database": await self.database.report(),
            "ledger": self._ledger(),
        }

    def _ledger(self) -> dict[str, Any]:
        state = self.ledger()
        return {**asdict(state), "failing_since": moment_text(state.failing_since)}


def _told(state: StoreState | None) -> dict[str, Any]:
    """What is told of a store; of one in this process's memory, that it is there."""
    if state is None:
        return {"up": True, "cause": None, "since": None}
    return {"up": state.up, "cause": state.cause, "since": moment_text(state.since)}


class DatabaseHealth:
    """Asks the database, for however many who ask at once, once a second at most."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._asked_at: float | None = None
        self._cause: str | None = None
        self._since: datetime = clock.now()

    async def report(self) -> dict[str, Any]:
        """Whether it answers, and since when that is so."""
        async with self._one_at_a_time:
            now = self._clock.monotonic()
            if self._asked_at is None or now - self._asked_at >= ASKED_FOR_S:
                self._note(await self._ask())
                self._asked_at = self._clock.monotonic()
        return {
            "reach": self._database.reach,
            "up": self._cause is None,
            "cause": self._cause,
            "since": moment_text(self._since),
        }

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(ASKED_FOR_S):
                await self._database.ping()
        except StoreUnavailable as away:
            return str(away)
        except TimeoutError:
            return "it does not answer in time"
        return None

    def _note(self, cause: str | None) -> None:
        if (cause is None) != (self._cause is None):
            self._since = self._clock.now()
        self._cause = cause
