"""Seals the chains by the hour, so that a removed end is seen, and removes what is older than it has to be kept."""

from datetime import timedelta
from typing import Final

from llm_service.ledger.chain import Tip
from llm_service.ledger.options import LedgerOptions
from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.storage import LedgerStore, Seal, StoreUnavailable

TICK_S: Final = 60
SEAL_EVERY_S: Final = 3600
REMOVE_EVERY_S: Final = 86400
_PAGE_ROWS: Final = 1000


async def seal_up_to(store: LedgerStore, writer: str, tip: Tip, *, clock: Clock) -> None:
    """Seal what is not sealed yet of a writer's chain; its records up to ``tip`` are in the store."""
    seals = await store.seals(writer)
    first_seq = seals[-1].last_seq + 1 if seals else 1
    if first_seq <= tip.seq:
        seal = Seal(writer=writer, first_seq=first_seq, last_seq=tip.seq, hash=tip.hash, sealed_at=clock.now())
        await store.seal(seal)


async def end_of_chain(store: LedgerStore, writer: str, *, after: Tip) -> Tip:
    """Where a writer's chain ends in the store, at ``after`` or behind it."""
    tip = after
    while rows := await store.chain(writer, after_seq=tip.seq, count=_PAGE_ROWS):
        tip = Tip(rows[-1].link.seq, rows[-1].link.hash)
    return tip


class Keeper:
    """Seals the chain of this process by the hour, and once a day removes what has been kept long enough."""

    def __init__(self, store: LedgerStore, *, writer: str, options: LedgerOptions, clock: Clock, log: Log) -> None:
        self._store = store
        self._writer = writer
        self._kept_for = timedelta(days=options.retention_days)
        self._hours_kept_for = timedelta(days=options.hourly_retention_days)
        self._clock = clock
        self._log = log
        self._seal_at_s = clock.monotonic() + SEAL_EVERY_S
        self._remove_at_s = clock.monotonic()

    async def round(self, shipped: Tip) -> None:
        """Do what is due; records up to ``shipped`` are in the store. What the store refuses is due again."""
        try:
            if self._clock.monotonic() >= self._seal_at_s:
                await seal_up_to(self._store, self._writer, shipped, clock=self._clock)
                self._seal_at_s = self._clock.monotonic() + SEAL_EVERY_S
            if self._clock.monotonic() >= self._remove_at_s:
                await self._remove()
                self._remove_at_s = self._clock.monotonic() + REMOVE_EVERY_S
        except StoreUnavailable as error:
            self._log.warning("ledger_upkeep_put_off", reason=str(error))

    async def _remove(self) -> None:
        now = self._clock.now()
        if records := await self._store.remove_sealed(before=now - self._kept_for):
            self._log.info("old_records_removed", records=records)
        if rows := await self._store.remove_hours(before=now - self._hours_kept_for):
            self._log.info("old_hours_removed", rows=rows)
