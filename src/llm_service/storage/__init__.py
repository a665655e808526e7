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
from llm_service.storage.memory_limits import MemoryLimits
from llm_service.storage.open import SQLITE_NAME, open_database
from llm_service.storage.options import StoreOptions
from llm_service.storage.private_valkey import PrivateValkey, PrivateValkeyError
from llm_service.storage.scripts import ScriptRunner
from llm_service.storage.sql.base import Conflict, DatabaseError
from llm_service.storage.sql.rows import storable
from llm_service.storage.valkey_address import AddressError, StoreAddress, StoreUrl, parse_store_url
from llm_service.storage.valkey_client import StoreState, ValkeyClient
from llm_service.storage.valkey_limits import ValkeyLimits

__all__ = [
    "SQLITE_NAME",
    "AddressError",
    "Bulletin",
    "ChainLink",
    "Conflict",
    "Database",
    "DatabaseError",
    "FactStore",
    "KeyStore",
    "LedgerRow",
    "LedgerStore",
    "LimitStore",
    "MemoryLimits",
    "PrivateValkey",
    "PrivateValkeyError",
    "ProcessBulletin",
    "Reach",
    "ScriptRunner",
    "Seal",
    "Spent",
    "StoreAddress",
    "StoreOptions",
    "StoreState",
    "StoreUnavailable",
    "StoreUrl",
    "UsageFilter",
    "UsageGroup",
    "UsageSum",
    "ValkeyBulletin",
    "ValkeyClient",
    "ValkeyLimits",
    "open_database",
    "parse_store_url",
    "storable",
]
