"""Writes the corrections that providers' own records make of estimates, once in the whole deployment."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llm_service.domain import LedgerUnavailable, fact, usd_text
from llm_service.ledger import Ledger
from llm_service.services.database import database_needed
from llm_service.services.reconcile import Drift, Reconciler
from llm_service.services.turn import STALE_S, Turn

AT_ONCE: Final = 200
AWAY: Final = "Estimates cannot be corrected now: the database does not answer."


@fact
class Corrected:
    """What came of asking one provider. ``unknown``: records that it does not know, or not yet."""

    written: int
    unknown: int
    drift: Drift


class Corrections:
    """Asks those ``providers`` that keep records of generations, and appends what they say to the ledger.

    Two writers of one correction would leave a hole in the chain of the later one, so that one process works at a
    time, and what it wrote is in the database before the next one looks.
    """

    TURN: Final = "reconcile"

    def __init__(self, reconciler: Reconciler, ledger: Ledger, turn: Turn, *, providers: Sequence[str]) -> None:
        self._reconciler = reconciler
        self._ledger = ledger
        self._turn = turn
        self._providers = providers

    async def round(self) -> Mapping[str, Corrected] | None:
        """Correct what can be corrected now, by provider; ``None``: another process is at it.

        Doing it again changes nothing. Raises LedgerUnavailable, also when it takes too long.
        """
        try:
            with database_needed(AWAY):
                async with self._turn.taken() as ours, asyncio.timeout(STALE_S / 2):
                    return {name: await self._correct(name) for name in self._providers} if ours else None
        except TimeoutError as late:
            raise LedgerUnavailable("Correcting estimates took too long; what was found is kept.") from late

    async def _correct(self, provider: str) -> Corrected:
        written, unknown, drift = 0, 0, Drift()
        while True:
            found = await self._reconciler.reconcile(provider, count=AT_ONCE)
            for correction in found.corrections:
                if (kept := self._ledger.adjust(correction)) is not None:
                    await kept
            await self._ledger.flush()
            written, unknown, drift = written + len(found.corrections), found.unknown, drift + found.drift
            if not found.corrections:
                return Corrected(written=written, unknown=unknown, drift=drift)


def corrected_object(corrected: Corrected) -> dict[str, Any]:
    """What came of asking a provider, as the interface shows it; ratios are estimated for each billed."""
    drift = corrected.drift
    return {
        "corrections": corrected.written,
        "unknown": corrected.unknown,
        "estimated_usd": usd_text(drift.estimated_nano_usd),
        "billed_usd": usd_text(drift.billed_nano_usd),
        "cost_ratio": None if drift.cost_ratio is None else round(drift.cost_ratio, 4),
        "estimated_tokens": drift.estimated_tokens,
        "billed_tokens": drift.billed_tokens,
        "token_ratio": None if drift.token_ratio is None else round(drift.token_ratio, 4),
    }
