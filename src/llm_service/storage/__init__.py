"""What outlives a request: limits and leases, api keys, records, messages; each embedded and shared."""

from llm_service.storage.base import (
    Bulletin,
    ChainLink,
    Database,
    FactStore,
    KeyStore,
    LedgerRow,
    LedgerStore,
    LimitStore,
    Reach,
    Seal,
    Spent,
    StoreUnavailable,
    UsageFilter,
    UsageGroup,
    UsageSum,
)

__all__ = [
    "Bulletin",
    "ChainLink",
    "Database",
    "FactStore",
    "KeyStore",
    "LedgerRow",
    "LedgerStore",
    "LimitStore",
    "Reach",
    "Seal",
    "Spent",
    "StoreUnavailable",
    "UsageFilter",
    "UsageGroup",
    "UsageSum",
]
