"""What outlives a request: limits and leases, api keys, records, messages; each embedded and shared."""

from llm_service.storage.bulletin import ProcessBulletin, ValkeyBulletin
from llm_service.storage.cache_codec import ASIDE_BYTES, aside, packed, unpacked
from llm_service.storage.cache_shelf import Eviction
from llm_service.storage.memory_cache import MemoryCache
from llm_service.storage.memory_limits import MemoryLimits
from llm_service.storage.open import SQLITE_NAME, open_database
from llm_service.storage.options import StoreOptions
from llm_service.storage.ports import (
    AlertEntry,
    AlertLease,
    AlertStore,
    BreakerAnswer,
    BreakerNews,
    BreakerStore,
    Bulletin,
    CacheLook,
    CacheSizes,
    CacheStore,
    ChainLink,
    Database,
    Ejection,
    FactStore,
    Flight,
    KeyStore,
    LedgerRow,
    LedgerStore,
    LimitStore,
    LogAsk,
    LogPart,
    LogRead,
    Reach,
    Replay,
    ReplayStore,
    Sample,
    SampleStore,
    Seal,
    SilenceRow,
    Spent,
    StoreUnavailable,
    StreamStore,
    UsageFilter,
    UsageGroup,
    UsageSum,
)
from llm_service.storage.private_valkey import PrivateValkey, PrivateValkeyError
from llm_service.storage.scripts import ScriptRunner
from llm_service.storage.sql.base import Conflict, DatabaseError
from llm_service.storage.sql.rows import MOST_TRIES_BYTES, MOST_VERDICTS_BYTES, storable
from llm_service.storage.valkey_address import AddressError, StoreAddress, StoreUrl, parse_store_url
from llm_service.storage.valkey_breakers import ValkeyBreakers
from llm_service.storage.valkey_cache import ValkeyCache
from llm_service.storage.valkey_client import StoreState, ValkeyClient
from llm_service.storage.valkey_limits import ValkeyLimits
from llm_service.storage.valkey_streams import ValkeyStreams

__all__ = [
    "ASIDE_BYTES",
    "MOST_TRIES_BYTES",
    "MOST_VERDICTS_BYTES",
    "SQLITE_NAME",
    "AddressError",
    "AlertEntry",
    "AlertLease",
    "AlertStore",
    "BreakerAnswer",
    "BreakerNews",
    "BreakerStore",
    "Bulletin",
    "CacheLook",
    "CacheSizes",
    "CacheStore",
    "ChainLink",
    "Conflict",
    "Database",
    "DatabaseError",
    "Ejection",
    "Eviction",
    "FactStore",
    "Flight",
    "KeyStore",
    "LedgerRow",
    "LedgerStore",
    "LimitStore",
    "LogAsk",
    "LogPart",
    "LogRead",
    "MemoryCache",
    "MemoryLimits",
    "PrivateValkey",
    "PrivateValkeyError",
    "ProcessBulletin",
    "Reach",
    "Replay",
    "ReplayStore",
    "Sample",
    "SampleStore",
    "ScriptRunner",
    "Seal",
    "SilenceRow",
    "Spent",
    "StoreAddress",
    "StoreOptions",
    "StoreState",
    "StoreUnavailable",
    "StoreUrl",
    "StreamStore",
    "UsageFilter",
    "UsageGroup",
    "UsageSum",
    "ValkeyBreakers",
    "ValkeyBulletin",
    "ValkeyCache",
    "ValkeyClient",
    "ValkeyLimits",
    "ValkeyStreams",
    "aside",
    "open_database",
    "packed",
    "parse_store_url",
    "storable",
    "unpacked",
]
