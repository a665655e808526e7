"""Port to the database, which holds keys, records, small facts, and answers under idempotency keys, alerts, and what
operators did."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from llm_service.storage.ports.alerts import AlertStore, SampleStore
from llm_service.storage.ports.audit import AuditStore
from llm_service.storage.ports.base import Reach
from llm_service.storage.ports.keys import KeyStore
from llm_service.storage.ports.ledger import LedgerStore
from llm_service.storage.ports.replays import ReplayStore


class FactStore(Protocol):
    """Small facts of the deployment by name: the hash key's fingerprint, changes made at run time."""

    async def get(self, name: str) -> str | None:
        """What is kept under a name."""

    async def having(self, prefix: str) -> Mapping[str, str]:
        """All values whose names begin so, by name, as they were at one moment."""

    async def put_if_absent(self, name: str, value: str) -> str:
        """Keep a value unless there is one; the one that is kept now."""

    async def put(self, name: str, value: str | None) -> None:
        """Keep a value, or nothing."""


class Database(Protocol):
    """The durable store: SQLite in the data directory, or PostgreSQL. Opened with its schema migrated."""

    reach: Reach
    keys: KeyStore
    ledger: LedgerStore
    facts: FactStore
    replays: ReplayStore
    alerts: AlertStore
    samples: SampleStore
    audit: AuditStore

    async def ping(self) -> None:
        """Raises StoreUnavailable when it cannot be reached."""

    async def check(self) -> Sequence[str]:
        """What is wrong with the stored data, nothing when it is whole; reads all of it. PostgreSQL checks itself."""

    async def aclose(self) -> None:
        """Let go of connections."""
