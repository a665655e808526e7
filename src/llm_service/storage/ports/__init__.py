"""The ports to what outlives a request: limits and leases, api keys, the ledger's records, answers, messages.

A method is one whole decision, so that two processes always agree. Every port has an embedded and a shared
implementation behind one conformance suite. All methods raise StoreUnavailable when the store does not answer in time
or cannot do its work; what was asked for may have happened then.
"""

from llm_service.storage.ports.alerts import AlertEntry, AlertLease, AlertStore, Sample, SampleStore, SilenceRow
from llm_service.storage.ports.audit import ActDoor, ActOutcome, AuditEntry, AuditFilter, AuditStore
from llm_service.storage.ports.base import Reach, StoreUnavailable
from llm_service.storage.ports.breakers import BreakerAnswer, BreakerNews, BreakerStore, Ejection
from llm_service.storage.ports.bulletin import Bulletin
from llm_service.storage.ports.cache import CacheLook, CacheSizes, CacheStore
from llm_service.storage.ports.database import Database, FactStore
from llm_service.storage.ports.keys import KeyStore
from llm_service.storage.ports.ledger import ChainLink, LedgerRow, LedgerStore, Seal, UsageFilter, UsageGroup, UsageSum
from llm_service.storage.ports.limits import NOT_KNOWN, LimitStore, Spent
from llm_service.storage.ports.replays import Replay, ReplayStore
from llm_service.storage.ports.streams import Flight, LogAsk, LogPart, LogRead, StreamStore

__all__ = [
    "NOT_KNOWN",
    "ActDoor",
    "ActOutcome",
    "AlertEntry",
    "AlertLease",
    "AlertStore",
    "AuditEntry",
    "AuditFilter",
    "AuditStore",
    "BreakerAnswer",
    "BreakerNews",
    "BreakerStore",
    "Bulletin",
    "CacheLook",
    "CacheSizes",
    "CacheStore",
    "ChainLink",
    "Database",
    "Ejection",
    "FactStore",
    "Flight",
    "KeyStore",
    "LedgerRow",
    "LedgerStore",
    "LimitStore",
    "LogAsk",
    "LogPart",
    "LogRead",
    "Reach",
    "Replay",
    "ReplayStore",
    "Sample",
    "SampleStore",
    "Seal",
    "SilenceRow",
    "Spent",
    "StoreUnavailable",
    "StreamStore",
    "UsageFilter",
    "UsageGroup",
    "UsageSum",
]
