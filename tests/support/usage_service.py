"""What reads usage and limits, put together over stores in memory."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_service.admission import Arrears, Gate, Held, LimitsOptions, Rules
from llm_service.domain import Ask, Caller, Claim, Lease, Limit, UsageRecord
from llm_service.runtime import Tasks
from llm_service.storage import LimitStore, MemoryLimits
from tests.support.clock import ManualClock
from tests.support.memory_ledger import MemoryLedger
from tests.support.records import row
from tests.support.service import LogLines


@dataclass
class Books:
    """A ledger and a gate to limits, with the clock that both go by."""

    limits: LimitsOptions = field(default_factory=LimitsOptions)
    clock: ManualClock = field(default_factory=ManualClock)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    store: LimitStore | None = None

    def __post_init__(self) -> None:
        self.store = self.store or MemoryLimits(self.clock)
        self.rules = Rules(self.limits, now=self.clock.now, time=self.clock.time)
        tasks = Tasks(lambda work, failure: None)
        self.gate = Gate(
            self.store,
            here=lambda: MemoryLimits(self.clock),
            spent=self._spent,
            when_shipped=lambda request_id, callback: None,
            arrears=Arrears(self.store, clock=self.clock, tasks=tasks),
            holder="of a test",
            log=LogLines(),
        )

    async def _spent(self, limit: Limit) -> tuple[int, int]:
        since: datetime | None = None
        return await self.ledger.spent(limit.scope, limit.subject, since=since, until=None)

    async def keep(self, request_id: str, **fields: Any) -> UsageRecord:
        """A record in the ledger."""
        kept = row(request_id, seq=len(self.ledger.rows) + 1, **fields)
        await self.ledger.append([kept])
        return kept.record

    async def take(self, caller: Caller, *, cost: int = 1, user: str | None = None, model: str = "m") -> Lease:
        """So much of every limit that a caller meets."""
        claims = [Claim(limit, cost) for limit in self.rules.of_caller(caller, user=user, model=model).limits]
        held = await self.gate.admit(Ask(lease_id=f"req_{self.clock.monotonic()}", callers=claims, candidates=[]))
        assert isinstance(held, Held)
        return held.lease
