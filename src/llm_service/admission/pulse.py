"""Says every second to a shared store that this process lives, and settles what silent ones have left behind."""

from typing import Final

from llm_service.admission.gate import Gate
from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.storage import LimitStore, StoreUnavailable

BEAT_S: Final = 1.0
BEATS_A_REAP: Final = 5
SILENT_S: Final = 30.0
"""Longer than whoever adopts a dead process's journal needs: that one settles rightly, by what was really used."""


class Pulse:
    """Run it as an owned task for as long as the process serves."""

    def __init__(self, store: LimitStore, gate: Gate, *, clock: Clock, log: Log) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._log = log

    async def run(self) -> None:
        """Beat until cancelled; a store that is away is asked again with the next beat."""
        beats = 0
        while True:
            try:
                witness = self._gate.spendings.witness()
                self._gate.workers = await self._store.beat()
                self._gate.store_returned()
                self._gate.spendings.witnessed(witness)
                if beats % BEATS_A_REAP == 0 and (reaped := await self._store.reap(silent_s=SILENT_S)):
                    self._log.warning("settled the leases of silent processes", leases=reaped)
            except StoreUnavailable as failure:
                self._log.debug("no beat", cause=str(failure))
            beats += 1
            await self._clock.sleep(BEAT_S)
