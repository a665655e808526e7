"""Port to the ledger: its records, their sums, their chains and seals."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Literal, Protocol

from llm_service.domain import LimitScope, UsageRecord, fact, fact_in_order


@fact_in_order
class ChainLink:
    """A record's place in its writer's hash chain: ``hash`` is over ``previous`` and the record's canonical JSON."""

    writer: str
    seq: int
    previous: str
    hash: str


@fact_in_order
class LedgerRow:
    """A record as the ledger holds it. ``mark``: its place in the ledger, in the order of commits; 0 before.

    ``is_storable``: whoever made the row knows that ``storable`` leaves its record as it is, so that it is not asked.
    """

    record: UsageRecord
    link: ChainLink
    mark: int = 0
    is_storable: bool = field(default=False, repr=False, compare=False)


UsageGroup = Literal["key", "user", "model", "provider", "tag", "hour", "day", "surface", "status", "cache"]


@fact
class UsageFilter:
    """Which records: ``None`` lets all through. ``since`` is inclusive, ``until`` exclusive, by ``at``.

    ``key_ids``: those of any of these keys.
    """

    since: datetime | None = None
    until: datetime | None = None
    key_id: str | None = None
    key_ids: Sequence[str] | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    tag: tuple[str, str] | None = None
    status: str | None = None
    cache: str | None = None


@fact
class UsageSum:
    """Sums over the records of one group; ``group`` has a value for each asked-for name. Corrections are included.

    ``hits``: requests whose ``cache`` is one of ``CACHE_HITS``. ``wasted_nano_usd``: what attempts cost that were not
    the answer; nobody was charged with it.
    """

    group: Mapping[str, str | None]
    requests: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    nano_usd: int
    saved_nano_usd: int
    wasted_nano_usd: int
    errors: int
    hits: int


@fact
class Seal:
    """The end of a sealed piece of a writer's chain: records ``first_seq`` to ``last_seq``, the last one's hash.

    ``removed``: retention has removed the piece; its head (this row) stays, so that the rest can still be verified.
    """

    writer: str
    first_seq: int
    last_seq: int
    hash: str
    sealed_at: datetime
    removed: bool = False


class LedgerStore(Protocol):
    """The records of all processes, append-only."""

    async def append(self, rows: Sequence[LedgerRow]) -> Sequence[int]:
        """Append what is not there yet (by request id) in one transaction; the marks of all, in their order.

        Commits of all processes happen one after the other, so that marks are in the order of commits. Rollups per
        hour and day grow in the same transaction.
        """

    async def known(self, request_ids: Sequence[str]) -> frozenset[str]:
        """Which of these have a record."""

    async def find(self, request_id: str) -> Sequence[LedgerRow]:
        """The record of a request and its corrections, oldest first; by the upstream's own id as well."""

    async def page(self, which: UsageFilter, *, after: int | None, count: int) -> Sequence[LedgerRow]:
        """Records, newest first (by mark), those before mark ``after``."""

    async def sums(self, which: UsageFilter, *, by: Sequence[UsageGroup]) -> Sequence[UsageSum]:
        """Sums by groups, from the rollups where they can tell, else from the records."""

    async def spent(
        self, scope: LimitScope, subject: str, *, since: datetime | None, until: datetime | None
    ) -> tuple[int, int]:
        """Nano-USD of the records of a scope and subject in a period, and the mark of the newest record seen."""

    async def chain(self, writer: str, *, after_seq: int, count: int) -> Sequence[LedgerRow]:
        """A writer's records in the order of its chain."""

    async def writers(self) -> Sequence[str]:
        """Every writer that has records or seals."""

    async def seals(self, writer: str) -> Sequence[Seal]:
        """A writer's seals in order."""

    async def seal(self, seal: Seal) -> None:
        """Keep a seal; the same one again does nothing."""

    async def remove_sealed(self, *, before: datetime) -> int:
        """Remove the records of whole sealed pieces whose records are all older; seals and rollups stay. How many."""

    async def remove_hours(self, *, before: datetime) -> int:
        """Remove the rollups per hour of whole days that are older; those per day stay. How many rows."""

    async def estimates(self, provider: str, *, since: datetime, count: int) -> Sequence[LedgerRow]:
        """Records of a provider with an upstream id and no correction yet, oldest first, whose cost is an estimate, or
        that used tokens at a price that nobody knew (``none``).
        """
