"""What is asked, how it ends, what is refused, and how the processes are."""

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Query, Row
from scripts.dashboards.queries import MODEL, PROVIDER, WHOM, highest, rate

GOOD: Final = ((None, "red"), (0.99, "orange"), (0.999, "green"))
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

NOW = Row(
    "Now",
    (
        Panel(
            title="Availability",
            about="Of valid requests the share that was answered, by window; promised: 99.9 %.",
            queries=(Query("min by (window) (llm_availability_ratio{WHERE})", "{{window}}"),),
            unit="percentunit",
            kind="stat",
            width=8,
            steps=GOOD,
            decimals=3,
        ),
        Panel(
            title="Requests",
            about="Of the last minutes, each second.",
            queries=(Query(rate("llm_requests_total")),),
            unit="reqps",
            kind="stat",
            width=4,
        ),
        Panel(
            title="In flight",
            about="Requests that are being answered.",
            queries=(Query("sum(llm_requests_in_flight{WHERE})"),),
            kind="stat",
            width=3,
        ),
        Panel(
            title="Streams kept",
            about="Generations that are kept to be resumed.",
            queries=(Query("sum(llm_streams_open{WHERE})"),),
            kind="stat",
            width=3,
        ),
        Panel(
            title="Alerts",
            about="Alerts of the service itself that fire.",
            queries=(Query("sum(max by (alert) (llm_alerts_firing{WHERE})) or vector(0)"),),
            kind="stat",
            width=3,
            steps=((None, "green"), (1, "red")),
        ),
        Panel(
            title="Version",
            about="Machines, by version.",
            queries=(Query("count by (version) (llm_build_info{WHERE})", "{{version}}"),),
            kind="stat",
            width=3,
        ),
    ),
)

REQUESTS = Row(
    "Requests",
    (
        Panel(
            title="Requests by end",
            about="error: ours or an upstream's. refused: the caller's fault, or too much. aborted: the client left.",
            queries=(Query(rate("llm_requests_total", "status", WHOM), "{{status}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Requests by door",
            about="REST, GraphQL, WebSocket.",
            queries=(Query(rate("llm_requests_total", "surface", WHOM), "{{surface}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Requests by model",
            about="The ten that are asked for most.",
            queries=(Query(highest(rate("llm_requests_total", "model", WHOM)), "{{model}}"),),
            unit="reqps",
        ),
        Panel(
            title="Requests by provider",
            about="Who answered.",
            queries=(Query(rate("llm_requests_total", "provider", WHOM), "{{provider}}"),),
            unit="reqps",
        ),
        Panel(
            title="HTTP answers",
            about="All paths, by status.",
            queries=(Query(rate("llm_http_requests_total", "status"), "{{status}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Tokens",
            about="As recorded; cached_input is part of input, reasoning of output.",
            queries=(Query(rate("llm_tokens_total", "kind", WHOM), "{{kind}}"),),
        ),
        Panel(
            title="Streams by end",
            about="Answers that were streamed.",
            queries=(Query(rate("llm_streams_total", "status"), "{{status}}"),),
            unit="reqps",
        ),
        Panel(
            title="Streams that clients came back for",
            about="By what became of it.",
            queries=(Query(rate("llm_stream_resumes_total", "outcome"), "{{outcome}}"),),
            unit="reqps",
        ),
    ),
)

FAILURES = Row(
    "Failures",
    (
        Panel(
            title="Errors by code",
            about="The ten most frequent, callers' mistakes included.",
            queries=(Query(highest(rate("llm_request_errors_total", "code")), "{{code}}"),),
            unit="reqps",
        ),
        Panel(
            title="Errors by whose fault they are",
            about="caller, gateway (ours) or upstream.",
            queries=(Query(rate("llm_request_errors_total", "fault"), "{{fault}}"),),
            unit="reqps",
        ),
        Panel(
            title="Burn rate of the error budget",
            about="How many times faster than promised requests fail, whoever is at fault. Above 14.4 for an hour, "
            "or 6 for six, somebody is called. From the recording rules.",
            queries=tuple(
                Query(
                    f'job:llm_request_failures_per_request:ratio_rate{window}{{job=~"$job"}}'
                    " / scalar(1 - max(llm_availability_objective_ratio{WHERE}))",
                    f"{window} {{{{job}}}}",
                )
                for window in WINDOWS
            ),
            steps=((None, "green"), (6, "orange"), (14.4, "red")),
        ),
        Panel(
            title="Burn rate of the error budget by our own fault",
            about="The same without upstreams' failures.",
            queries=tuple(
                Query(
                    f'job:llm_own_failures_per_request:ratio_rate{window}{{job=~"$job"}}'
                    " / scalar(1 - max(llm_availability_objective_ratio{WHERE}))",
                    f"{window} {{{{job}}}}",
                )
                for window in WINDOWS
            ),
            steps=((None, "green"), (6, "orange"), (14.4, "red")),
        ),
    ),
)

LIMITS = Row(
    "Limits",
    (
        Panel(
            title="Refused by limits",
            about="By scope and kind of the limit that had no room.",
            queries=(
                Query(rate("llm_limit_decisions_total", "scope, kind", 'decision="refused"'), "{{scope}} {{kind}}"),
            ),
            unit="reqps",
        ),
        Panel(
            title="Budgets",
            about="Of the one that is used most in each scope: how much.",
            queries=(Query("max by (scope) (llm_budget_used_ratio{WHERE})", "{{scope}}"),),
            unit="percentunit",
            top=1,
        ),
        Panel(
            title="Requests by key",
            about="The ten busiest; only with observability.metrics_key_label.",
            queries=(Query(highest(rate("llm_key_requests_total", "key_id")), "{{key_id}}"),),
            unit="reqps",
        ),
        Panel(
            title="Tokens by key",
            about="The ten busiest; only with observability.metrics_key_label.",
            queries=(Query(highest(rate("llm_key_tokens_total", "key_id")), "{{key_id}}"),),
        ),
        Panel(
            title="Filters",
            about="Requests in which a filter found something, or could not judge, by side and what followed.",
            queries=(Query(rate("llm_filter_verdicts_total", "filter, on, action"), "{{filter}} {{on}} {{action}}"),),
        ),
    ),
)

PROCESSES = Row(
    "Processes",
    (
        Panel(
            title="CPU",
            about="Of all processes of a machine; 1 is one core.",
            queries=(Query(rate("process_cpu_seconds_total", "instance"), "{{instance}}"),),
            width=8,
            decimals=2,
        ),
        Panel(
            title="Memory",
            about="Resident, shared pages counted in each process.",
            queries=(Query("sum by (instance) (process_resident_memory_bytes{WHERE})", "{{instance}}"),),
            unit="bytes",
            width=8,
        ),
        Panel(
            title="Event loop lag",
            about="How late the loop is in the worst process of a machine.",
            queries=(Query("max by (instance) (llm_event_loop_lag_seconds{WHERE})", "{{instance}}"),),
            unit="s",
            width=8,
        ),
        Panel(
            title="Workers",
            about="Processes that serve.",
            queries=(Query("sum by (instance) (llm_workers{WHERE})", "{{instance}}"),),
            width=6,
            decimals=0,
        ),
        Panel(
            title="Open descriptors",
            about="Sockets and files.",
            queries=(Query("sum by (instance) (process_open_fds{WHERE})", "{{instance}}"),),
            width=6,
        ),
        Panel(
            title="Age",
            about="Since the oldest process began. It falls where a machine was restarted.",
            queries=(Query("time() - min by (instance) (process_start_time_seconds{WHERE})", "{{instance}}"),),
            unit="s",
            width=6,
        ),
        Panel(
            title="Generation of the settings",
            about="How often they were loaded; a step is a reload.",
            queries=(Query("min by (instance) (llm_config_generation{WHERE})", "{{instance}}"),),
            width=6,
            decimals=0,
        ),
        Panel(
            title="Notices of alerts",
            about="Of the service's own alerts, by how their delivery went.",
            queries=(Query(rate("llm_alert_notices_total", "channel, outcome"), "{{channel}} {{outcome}}"),),
        ),
        Panel(
            title="Figures that went to `other`",
            about="Metrics that have as many series as they may.",
            queries=(Query(rate("llm_metrics_series_dropped_total", "metric"), "{{metric}}"),),
        ),
    ),
)

TRAFFIC: Final = Board(
    name="traffic",
    title="llm-service: traffic",
    about="What is asked, how it ends, what is refused, and how the processes are.",
    variables=(MODEL, PROVIDER),
    rows=(NOW, REQUESTS, FAILURES, LIMITS, PROCESSES),
)
