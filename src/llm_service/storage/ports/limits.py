"""Port to limits and leases."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from llm_service.domain import Ask, Decision, Lease, Limit, LimitState, Refused, Settlement, Unknown
from llm_service.storage.ports.base import Reach

NOT_KNOWN: Final = "the limit store does not know this lease"

Spent = Callable[[Limit], Awaitable[tuple[int, int]]]
"""What the ledger says was spent of a budget (nano-USD), and up to which mark."""


class LimitStore(Protocol):
    """Counters and leases. Windows slide: ``amount`` in any 60 s, in buckets of one second, by the store's clock.

    Each call is atomic over all limits that it names, between all processes that share the store.
    """

    reach: Reach

    @property
    def life(self) -> str:
        """Names the store's memory: another one after a restart or a failover, when leases and budgets are lost."""

    async def admit(self, ask: Ask) -> Decision:
        """Take all claims of the callers and of the first candidate with room, or nothing at all."""

    async def foresee(self, ask: Ask) -> int | Refused | Unknown:
        """What `admit` would say now, taking nothing: the index of the candidate with room (-1: there are none)."""

    async def swap(self, lease: Lease, ask: Ask, *, called: bool) -> Decision:
        """For another attempt: take the first of ``ask.candidates`` with room (``ask.callers`` is empty), and give back
        what ``lease`` holds of its provider. The lease of the result replaces ``lease``; on a refusal that stays.

        ``called``: the provider was asked, so that the permits of its requests stay taken for good.
        Raises StoreUnavailable when the store does not know the lease: then nobody would settle the new part.
        """

    async def settle(self, lease: Lease, settlement: Settlement | None) -> bool:
        """Put what was used in place of what was held, refunds into the second of the grant; ``None`` gives all back.

        Idempotent. False: the store does not know this lease (settled before, or lost with the store's state).
        """

    async def settle_lost(self, holder: str, lease_id: str, settlement: Settlement | None) -> bool:
        """Settle a lease of another, dead holder, or one whose grant was never heard of. Idempotent, as above."""

    async def seed(self, limit: Limit, *, used: int, mark: int) -> None:
        """Say what was spent of a budget (nano-USD) in the ledger's records up to ``mark``; first come, only served."""

    async def add(self, limit: Limit, *, cost: int, mark: int) -> None:
        """Count nano-USD of the ledger's record ``mark`` that no lease here stands for, unless the seed held it.

        Once for each mark. Of a budget that is not known yet it is remembered for the seed, an hour at most.
        """

    def seen(self, limit: Limit) -> int | None:
        """What stood against a limit when this process last heard of it: a guide that costs no round trip."""

    async def read(self, limits: Sequence[Limit]) -> Sequence[LimitState]:
        """Where the limits stand, in their order."""

    async def beat(self) -> int:
        """Say that the holder lives; call every second. How many holders do (itself included)."""

    async def lives(self, holder: str) -> bool:
        """Whether a holder has said lately that it lives."""

    async def reap(self, *, silent_s: float) -> int:
        """Settle the leases of holders that were silent for so long, as if all that was held had been used.

        How many leases that were. What a journal still tells is settled by ``settle_lost`` before, and rightly.
        """

    async def release(self, holder: str) -> int:
        """Give back all that a dead holder still holds: its journal has told all, and knows of no upstream call for it.

        How many leases that were.
        """

    async def aclose(self) -> None:
        """Let go of connections."""
