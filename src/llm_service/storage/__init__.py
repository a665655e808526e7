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
from llm_service.storage.bulletin import ProcessBulletin, ValkeyBulletin
from llm_service.storage.private_valkey import PrivateValkey, PrivateValkeyError
from llm_service.storage.scripts import ScriptRunner
from llm_service.storage.valkey_address import AddressError, StoreAddress, StoreUrl, parse_store_url
from llm_service.storage.valkey_client import StoreState, ValkeyClient

__all__ = [
    "AddressError",
    "Bulletin",
    "ChainLink",
    "Database",
    "FactStore",
    "KeyStore",
    "LedgerRow",
    "LedgerStore",
    "LimitStore",
    "PrivateValkey",
    "PrivateValkeyError",
    "ProcessBulletin",
    "Reach",
    "ScriptRunner",
    "Seal",
    "Spent",
    "StoreAddress",
    "StoreState",
    "StoreUnavailable",
    "StoreUrl",
    "UsageFilter",
    "UsageGroup",
    "UsageSum",
    "ValkeyBulletin",
    "ValkeyClient",
    "parse_store_url",
]
