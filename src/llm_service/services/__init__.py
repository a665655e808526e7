"""What the doors call: the data plane and the control plane."""

from llm_service.services.alert_objects import (
    alert_object,
    alerts_object,
    happening_object,
    rule_object,
    silence_object,
    trial_object,
)
from llm_service.services.alerts import AlertAdmin, AlertSeen, AlertsSeen, EventPage
from llm_service.services.audit import (
    ACT_DOORS,
    ACT_OUTCOMES,
    AUDIT_FILTERS,
    STATE_ACTS,
    Audit,
    AuditPage,
    audit_object,
    outcome_of,
    read_audit_filter,
)
from llm_service.services.audit_trail import AuditTrail
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
from llm_service.services.catalogue_shelf import CatalogueShelf, KeptCatalogue
from llm_service.services.corrections import Corrected, Corrections, corrected_object
from llm_service.services.diagnosis import Diagnosis, Site, diagnose
from llm_service.services.events import (
    KINDS,
    UNLESS_ASKED,
    EventKind,
    Events,
    Heard,
    Listening,
    event_object,
    read_kinds,
)
from llm_service.services.explain import Explain, ExplainParts
from llm_service.services.explanation import (
    CacheView,
    DeploymentView,
    Explanation,
    FilterView,
    GroupView,
    LimitsView,
    LimitView,
    PriceView,
    ResultView,
    RetriesView,
)
from llm_service.services.exports import ExportFormat, read_format, write_export
from llm_service.services.gateway import Gateway
from llm_service.services.hash_key import (
    HASH_KEY_FACT,
    HASH_KEY_FILE,
    HashKeyError,
    HashKeys,
    check_hash_keys,
    fingerprint_of,
    hash_keys_of,
)
from llm_service.services.health import Health, Standing
from llm_service.services.issued_keys import IssuedKeys
from llm_service.services.issuers.claims import is_of_issuer
from llm_service.services.issuers.fetching import KeyAddress, KeyFile
from llm_service.services.issuers.fresh_keys import FreshKeys, KeyShelf
from llm_service.services.issuers.options import IssuerOptions
from llm_service.services.issuers.packages import load_reader
from llm_service.services.issuers.problems import issuer_problems
from llm_service.services.issuers.tokens import Issuer, Tokens
from llm_service.services.key_changes import KEYS_TOPIC, KeyChanges
from llm_service.services.key_fields import key_object, status_of
from llm_service.services.keys import OVERLAP_S, Issued, KeyPage, Keys
from llm_service.services.limit_states import LimitStates, Standings, standings_object, state_object
from llm_service.services.log_levels import LogLevels, level_object
from llm_service.services.metrics_frame import SERIES, MetricsSnapshot, NamedFigures
from llm_service.services.metrics_history import LONGEST_INTERVAL_S, LONGEST_S, MetricsHistory
from llm_service.services.models import ChargedPrice, ModelEntry, Models, PricedModels
from llm_service.services.moments import moment_text, read_moment
from llm_service.services.provider_admin import ProviderAdmin, ProviderSeen, provider_object
from llm_service.services.provider_check import Asked, Checked, Finding, checked, checked_object
from llm_service.services.provider_health import Condition, ProviderHealth, ProviderReport, health_object
from llm_service.services.provider_news import News, ProviderNews
from llm_service.services.provider_overrides import (
    PROVIDERS_TOPIC,
    STATES,
    Override,
    ProviderOverrides,
    put_override,
    read_overrides,
)
from llm_service.services.provider_probes import ProviderProbes
from llm_service.services.provider_running import ProviderRunning
from llm_service.services.provider_states import ProviderStates, decided, override_object
from llm_service.services.provider_trial import Trial, tried
from llm_service.services.reconcile import Drift, Reconciled, Reconciler, correction
from llm_service.services.sessions import SESSION_S, Session, Sessions
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
    verdict_object,
)
from llm_service.services.wrong_keys import WrongKeys

__all__ = [
    "ACT_DOORS",
    "ACT_OUTCOMES",
    "AUDIT_FILTERS",
    "CACHE_STATUSES",
    "FILTERS",
    "GROUPS",
    "HASH_KEY_FACT",
    "HASH_KEY_FILE",
    "KEYS_TOPIC",
    "KINDS",
    "LOCAL_KEY",
    "LONGEST_INTERVAL_S",
    "LONGEST_S",
    "OLDER_THAN",
    "OVERLAP_S",
    "PROVIDERS_TOPIC",
    "SELECTORS",
    "SERIES",
    "SESSION_S",
    "STATES",
    "STATE_ACTS",
    "STATS_GROUPS",
    "STATUSES",
    "UNLESS_ASKED",
    "AlertAdmin",
    "AlertSeen",
    "AlertsSeen",
    "Asked",
    "Audit",
    "AuditPage",
    "AuditTrail",
    "Authenticator",
    "CacheAdmin",
    "CacheFigures",
    "CacheStats",
    "CacheView",
    "CatalogueShelf",
    "ChargedPrice",
    "Checked",
    "Condition",
    "Corrected",
    "Corrections",
    "DatabaseHealth",
    "DeploymentView",
    "Diagnosis",
    "Drift",
    "EventKind",
    "EventPage",
    "Events",
    "Explain",
    "ExplainParts",
    "Explanation",
    "ExportFormat",
    "FilterView",
    "Finding",
    "FreshKeys",
    "Gateway",
    "Generation",
    "GroupView",
    "HashKeyError",
    "HashKeys",
    "Health",
    "Heard",
    "Issued",
    "IssuedKeys",
    "Issuer",
    "IssuerOptions",
    "KeptCatalogue",
    "KeyAddress",
    "KeyChanges",
    "KeyFile",
    "KeyPage",
    "KeyShelf",
    "Keys",
    "LimitStates",
    "LimitView",
    "LimitsView",
    "Listening",
    "LogLevels",
    "MetricsHistory",
    "MetricsSnapshot",
    "ModelEntry",
    "Models",
    "NamedFigures",
    "News",
    "Override",
    "PriceView",
    "PricedModels",
    "ProviderAdmin",
    "ProviderHealth",
    "ProviderNews",
    "ProviderOverrides",
    "ProviderProbes",
    "ProviderReport",
    "ProviderRunning",
    "ProviderSeen",
    "ProviderStates",
    "Reconciled",
    "Reconciler",
    "ResultView",
    "RetriesView",
    "Session",
    "Sessions",
    "Site",
    "Standing",
    "Standings",
    "StoreHealth",
    "SystemHealth",
    "TokenCounter",
    "Tokens",
    "Trial",
    "Turn",
    "Upkeep",
    "Usage",
    "UsagePage",
    "WrongKeys",
    "alert_object",
    "alerts_object",
    "audit_object",
    "check_hash_keys",
    "checked",
    "checked_object",
    "corrected_object",
    "correction",
    "decided",
    "diagnose",
    "event_object",
    "fingerprint_of",
    "generation_object",
    "happening_object",
    "hash_keys_of",
    "health_object",
    "is_of_issuer",
    "issuer_problems",
    "key_object",
    "level_object",
    "load_reader",
    "moment_text",
    "outcome_of",
    "override_object",
    "provider_object",
    "put_override",
    "read_audit_filter",
    "read_filter",
    "read_format",
    "read_groups",
    "read_kinds",
    "read_moment",
    "read_overrides",
    "record_object",
    "rule_object",
    "silence_object",
    "standings_object",
    "state_object",
    "stats_object",
    "status_of",
    "sum_object",
    "trial_object",
    "tried",
    "unknown_name",
    "verdict_object",
    "write_export",
]
