"""Every metric that the service has. Names of the contract are fixed; docs/metrics.md is held to this table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.observability.metrics.metric import Metric

ANSWER_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0,
)  # fmt: skip
"""Whole answers: from a cached one to a long chain of thought."""
FIRST_CHUNK_S: Final = (0.001, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 60.0, 120.0)
OVERHEAD_S: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
TOKEN_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)

PROMISED: Final = 0.999
"""Of the requests that are not refused by their callers' own fault, the share that is answered."""

_WHOM: Final = ("model", "provider")


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, "counter", text, labels)


def _gauge(name: str, text: str, *labels: str, merge: str = "sum") -> Metric:
    return Metric(name, "gauge", text, labels, merge=merge)  # type: ignore[arg-type]


def _histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name, "histogram", text, labels, bounds)


REQUESTS: Final = _counter(
    "llm_requests_total",
    "Requests that ended, refused ones included. status: ok, error, aborted, refused, interrupted. A model that no "
    "configuration and no catalogue names is `other`.",
    "surface", *_WHOM, "status", "cache",
)  # fmt: skip
REQUEST_ERRORS: Final = _counter(
    "llm_request_errors_total",
    "Requests that ended in an error, by its code and whose fault it is: caller, gateway or upstream.",
    "code", "fault",
)  # fmt: skip
REQUEST_DURATION: Final = _histogram(
    "llm_request_duration_seconds",
    "From the request's last byte to the end of its answer; refused ones do not count.",
    ANSWER_S,
    *_WHOM,
    "cache",
)
TIME_TO_FIRST_CHUNK: Final = _histogram(
    "llm_time_to_first_chunk_seconds",
    "From the request's last byte to the first content, of streams.",
    FIRST_CHUNK_S,
    *_WHOM,
)
TIME_PER_OUTPUT_TOKEN: Final = _histogram(
    "llm_time_per_output_token_seconds", "What a token behind the first took on average in a stream.", TOKEN_S, *_WHOM
)
OVERHEAD: Final = _histogram(
    "llm_overhead_seconds",
    "Our own share of the time until the first content, by stage; `total`: all of them.",
    OVERHEAD_S,
    "stage",
)
QUEUE: Final = _histogram(
    "llm_queue_seconds", "What requests waited for a place at a provider.", (*OVERHEAD_S, 1.0, 5.0, 30.0), "provider"
)
IN_FLIGHT: Final = _gauge("llm_requests_in_flight", "Requests that are being answered.")
TOKENS: Final = _counter(
    "llm_tokens_total",
    "Tokens that were used, as recorded. kind: input, output; and of these: cached_input, reasoning.",
    *_WHOM, "kind",
)  # fmt: skip
COST: Final = _counter(
    "llm_cost_usd_total",
    "Money that was charged, in USD, by where its figure is from. What the ledger corrects later is not in it.",
    *_WHOM,
    "source",
)
SAVED: Final = _counter(
    "llm_saved_usd_total", "What answers cost that were given again without paying, in USD.", "model"
)
WASTED: Final = _counter("llm_wasted_usd_total", "What attempts cost that were not the answer, in USD.", "provider")
STREAMS: Final = _counter("llm_streams_total", "Answers that were streamed, by how they ended.", "status")
STREAMS_OPEN: Final = _gauge("llm_streams_open", "Generations that are kept to be resumed.")
RESUMES: Final = _counter(
    "llm_stream_resumes_total", "Streams that clients came back for. outcome: resumed, refused.", "outcome"
)
HTTP_REQUESTS: Final = _counter(
    "llm_http_requests_total", "HTTP answers by route template, `other` for unknown paths.", "method", "route", "status"
)

FILTER_VERDICTS: Final = _counter(
    "llm_filter_verdicts_total",
    "Requests in which a filter found something, or could not judge, by side (`on`: input, output) and what followed: "
    "block, mask, report.",
    "filter", "type", "on", "action",
)  # fmt: skip

FILTER_SECONDS: Final = _histogram(
    "llm_filter_seconds",
    "What filters took that ask a model or a webhook, up to their verdict or their failure.",
    FIRST_CHUNK_S,
    "filter",
)

CACHE_HITS: Final = _counter(
    "llm_cache_hits_total", "Requests answered without a call. kind: hit, semantic, coalesced, stale, replay.",
    "kind",
)  # fmt: skip
CACHE_MISSES: Final = _counter(
    "llm_cache_misses_total", "Accepted requests that the cache could have answered, and did not."
)
CACHE_EVICTIONS: Final = _counter("llm_cache_evictions_total", "Answers that made room for others.")
CACHE_BYTES: Final = _gauge("llm_cache_bytes", "What kept answers take.", merge="max")
CACHE_ENTRIES: Final = _gauge("llm_cache_entries", "Answers that are kept.", merge="max")

LIMIT_DECISIONS: Final = _counter(
    "llm_limit_decisions_total",
    "Decisions about a limit. decision: admitted, refused; of an admitted request by each scope and kind that it met.",
    "scope", "kind", "decision",
)  # fmt: skip
BUDGET_USED: Final = _gauge(
    "llm_budget_used_ratio",
    "Of the budget that is used most in each scope: the share that is used.",
    "scope",
    merge="max",
)
LIMIT_DRIFT: Final = _gauge(
    "llm_limit_drift_usd", "What the limit store counts as spent beyond what the ledger has recorded.", merge="max"
)

ATTEMPTS: Final = _counter(
    "llm_upstream_attempts_total",
    "Calls of upstreams. outcome: ok, error, excused (failed, but not by the provider's fault), aborted, lost.",
    "provider", "outcome",
)  # fmt: skip
UPSTREAM_ERRORS: Final = _counter("llm_upstream_errors_total", "Calls that failed, by code.", "provider", "code")
FALLBACKS: Final = _counter("llm_fallbacks_total", "Requests that another deployment answered than the first.", "model")
HEDGES: Final = _counter("llm_hedges_total", "Second attempts beside late ones. outcome: won, lost.", "outcome")
BREAKER_STATE: Final = _gauge(
    "llm_breaker_state", "0 closed, 1 half-open, 2 open.", "provider", "upstream_model", merge="max"
)
PROVIDER_UP: Final = _gauge(
    "llm_provider_up", "1: answers, as far as is known; 0: is switched off, or failed lately.", "provider", merge="min"
)
PROVIDER_BALANCE: Final = _gauge("llm_provider_balance_usd", "Credit at the provider.", "provider", merge="latest")
PROVIDER_IN_FLIGHT: Final = _gauge("llm_provider_requests_in_flight", "Calls that run.", "provider")
PROVIDER_WAITING: Final = _gauge("llm_provider_requests_waiting", "Requests that wait for a place.", "provider")

STORE_UP: Final = _gauge("llm_store_up", "1: answers. store: limits, cache, database.", "store", merge="min")
LEDGER_BACKLOG: Final = _gauge("llm_ledger_backlog", "Records in journals that the database does not have yet.")
LEDGER_BACKLOG_AGE: Final = _gauge("llm_ledger_backlog_seconds", "Age of the oldest of them.", merge="max")
AVAILABILITY: Final = _gauge(
    "llm_availability_ratio",
    "Of the requests of the window that were not refused by the caller's own fault: the share that was answered.",
    "window",
    merge="latest",
)
OBJECTIVE: Final = _gauge("llm_availability_objective_ratio", "What is promised: 0.999.", merge="latest")

ALERTS_FIRING: Final = _gauge("llm_alerts_firing", "1: fires.", "alert", "severity", merge="max")
NOTICES: Final = _counter(
    "llm_alert_notices_total", "Notices of alerts. outcome: delivered, failed.", "channel", "outcome"
)

LOOP_LAG: Final = _gauge(
    "llm_event_loop_lag_seconds",
    "How late the event loop was in the last second, or is by now, in the worst process.",
    merge="max",
)
WORKERS: Final = _gauge("llm_workers", "Processes that serve.")
BUILD: Final = _gauge("llm_build_info", "1, with the version.", "version", merge="max")
CONFIG_GENERATION: Final = _gauge("llm_config_generation", "How often the settings were loaded.", merge="min")
CPU: Final = _counter("process_cpu_seconds_total", "CPU time that all processes took.")
MEMORY: Final = _gauge(
    "process_resident_memory_bytes", "Resident memory of all processes, shared pages counted in each."
)
DESCRIPTORS: Final = _gauge("process_open_fds", "Open descriptors.")
STARTED: Final = _gauge("process_start_time_seconds", "When the oldest process began.", merge="min")
SERIES_DROPPED: Final = _counter(
    "llm_metrics_series_dropped_total",
    "How often a series was wanted of a metric that has too many, and `other` was counted instead.",
    "metric",
)

KEY_REQUESTS: Final = _counter(
    "llm_key_requests_total", "Requests by key, if metrics_key_label is on.", "key_id", "status"
)
KEY_COST: Final = _counter("llm_key_cost_usd_total", "Money by key, if metrics_key_label is on.", "key_id")
KEY_TOKENS: Final = _counter("llm_key_tokens_total", "Tokens by key, if metrics_key_label is on.", "key_id", "kind")

ALL: Final[Mapping[str, Metric]] = MappingProxyType(
    {value.name: value for value in dict(globals()).values() if isinstance(value, Metric)}
)
