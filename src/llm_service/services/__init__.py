"""What the doors call: the data plane and the control plane."""

from llm_service.services.authenticator import LOCAL_KEY, Authenticator
from llm_service.services.cache import (
    OLDER_THAN,
    SELECTORS,
    STATS_GROUPS,
    CacheAdmin,
    CacheFigures,
    CacheStats,
    stats_object,
)
from llm_service.services.corrections import Corrected, Corrections, corrected_object
from llm_service.services.exports import ExportFormat, read_format, write_export
from llm_service.services.gateway import Gateway
from llm_service.services.hash_key import HASH_KEY_FILE, HashKeyError, HashKeys, check_hash_keys, hash_keys_of
from llm_service.services.health import Health, Standing
from llm_service.services.issued_keys import IssuedKeys
from llm_service.services.key_changes import KEYS_TOPIC, KeyChanges
from llm_service.services.key_fields import key_object, status_of
from llm_service.services.keys import OVERLAP_S, Issued, KeyPage, Keys
from llm_service.services.limit_states import LimitStates, Standings, standings_object
from llm_service.services.models import ModelEntry, Models
from llm_service.services.moments import moment_text, read_moment
from llm_service.services.provider_overrides import (
    PROVIDERS_TOPIC,
    STATES,
    Override,
    ProviderOverrides,
    override_text,
    read_overrides,
)
from llm_service.services.provider_states import ProviderStates, decided, override_object
from llm_service.services.reconcile import Drift, Reconciled, Reconciler, correction
from llm_service.services.store_health import DatabaseHealth, StoreHealth
from llm_service.services.system_health import SystemHealth
from llm_service.services.token_counter import TokenCounter
from llm_service.services.turn import Turn
from llm_service.services.upkeep import Upkeep
from llm_service.services.usage import Generation, Usage, UsagePage, generation_object
from llm_service.services.usage_fields import (
    CACHE_STATUSES,
    FILTERS,
    GROUPS,
    STATUSES,
    read_filter,
    read_groups,
    record_object,
    sum_object,
    unknown_name,
)

__all__ = [
    "CACHE_STATUSES",
    "FILTERS",
    "GROUPS",
    "HASH_KEY_FILE",
    "KEYS_TOPIC",
    "LOCAL_KEY",
    "OLDER_THAN",
    "OVERLAP_S",
    "PROVIDERS_TOPIC",
    "SELECTORS",
    "STATES",
    "STATS_GROUPS",
    "STATUSES",
    "Authenticator",
    "CacheAdmin",
    "CacheFigures",
    "CacheStats",
    "Corrected",
    "Corrections",
    "DatabaseHealth",
    "Drift",
    "ExportFormat",
    "Gateway",
    "Generation",
    "HashKeyError",
    "HashKeys",
    "Health",
    "Issued",
    "IssuedKeys",
    "KeyChanges",
    "KeyPage",
    "Keys",
    "LimitStates",
    "ModelEntry",
    "Models",
    "Override",
    "ProviderOverrides",
    "ProviderStates",
    "Reconciled",
    "Reconciler",
    "Standing",
    "Standings",
    "StoreHealth",
    "SystemHealth",
    "TokenCounter",
    "Turn",
    "Upkeep",
    "Usage",
    "UsagePage",
    "check_hash_keys",
    "corrected_object",
    "correction",
    "decided",
    "generation_object",
    "hash_keys_of",
    "key_object",
    "moment_text",
    "override_object",
    "override_text",
    "read_filter",
    "read_format",
    "read_groups",
    "read_moment",
    "read_overrides",
    "record_object",
    "standings_object",
    "stats_object",
    "status_of",
    "sum_object",
    "unknown_name",
    "write_export",
]
