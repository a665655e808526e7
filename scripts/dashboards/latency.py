"""How long answers take, to their first content and to their end, and which part of it is our own."""

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Query, Row
from scripts.dashboards.queries import MODEL, PROVIDER, WHOM, heat, highest, quantile, quantiles, rate

FIRST: Final = "llm_time_to_first_chunk_seconds"
WHOLE: Final = "llm_request_duration_seconds"
TOKEN: Final = "llm_time_per_output_token_seconds"  # noqa: S105 - a metric
OWN: Final = "llm_overhead_seconds"
MISSED: Final = f'{WHOM}, cache!="hit"'

NOW = Row(
    "Now",
    (
        Panel(
            title="First content, median",
            about="From the request's last byte to the first content.",
            queries=(Query(quantile(0.5, FIRST, where=WHOM)),),
            unit="s",
            kind="stat",
            width=6,
        ),
        Panel(
            title="First content, p95",
            about="One in twenty waits for longer.",
            queries=(Query(quantile(0.95, FIRST, where=WHOM)),),
            unit="s",
            kind="stat",
            width=6,
        ),
        Panel(
            title="Whole answer, p95",
            about="From the request's last byte to the answer's end.",
            queries=(Query(quantile(0.95, WHOLE, where=WHOM)),),
            unit="s",
            kind="stat",
            width=6,
        ),
        Panel(
            title="Output tokens each second, median",
            about="Of one stream, behind its first token.",
            queries=(Query(f"1 / {quantile(0.5, TOKEN, where=WHOM)}"),),
            kind="stat",
            width=6,
            decimals=0,
        ),
    ),
)

FIRST_CONTENT = Row(
    "First content",
    (
        Panel(
            title="Time to the first content",
            about="Cached answers included.",
            queries=quantiles(FIRST, WHOM),
            unit="s",
        ),
        Panel(
            title="Time to the first content, spread",
            about="How many fell into each bucket.",
            queries=(Query(heat(FIRST, WHOM), "{{le}}"),),
            unit="s",
            kind="heatmap",
        ),
        Panel(
            title="By provider, p95",
            unit="s",
            queries=(Query(quantile(0.95, FIRST, "provider", WHOM), "{{provider}}"),),
        ),
        Panel(
            title="By model, p95",
            about="The ten slowest.",
            unit="s",
            queries=(Query(highest(quantile(0.95, FIRST, "model", WHOM)), "{{model}}"),),
        ),
    ),
)

WHOLE_ANSWERS = Row(
    "Whole answers",
    (
        Panel(
            title="Time to the end",
            about="Cached answers included.",
            queries=quantiles(WHOLE, WHOM),
            unit="s",
        ),
        Panel(
            title="Time to the end without hits of the cache",
            queries=quantiles(WHOLE, MISSED),
            unit="s",
        ),
        Panel(
            title="Time to the end, spread",
            about="How many fell into each bucket.",
            queries=(Query(heat(WHOLE, WHOM), "{{le}}"),),
            unit="s",
            kind="heatmap",
        ),
        Panel(
            title="Time for each output token",
            about="Average of a stream, behind its first token.",
            queries=quantiles(TOKEN, WHOM),
            unit="s",
        ),
        Panel(
            title="By provider, p95",
            unit="s",
            queries=(Query(quantile(0.95, WHOLE, "provider", WHOM), "{{provider}}"),),
        ),
        Panel(
            title="By model, p95",
            about="The ten slowest.",
            unit="s",
            queries=(Query(highest(quantile(0.95, WHOLE, "model", WHOM)), "{{model}}"),),
        ),
    ),
)

OWN_SHARE = Row(
    "Our own share",
    (
        Panel(
            title="By stage, p95",
            about="What we take of the time until the first content.",
            unit="s",
            queries=(Query(quantile(0.95, OWN, "stage"), "{{stage}}"),),
        ),
        Panel(
            title="By stage, mean",
            unit="s",
            queries=(Query(f"{rate(f'{OWN}_sum', 'stage')} / {rate(f'{OWN}_count', 'stage')}", "{{stage}}"),),
        ),
        Panel(
            title="Waiting for a place at a provider, p95",
            about="Of requests for which its concurrency is bounded.",
            unit="s",
            queries=(Query(quantile(0.95, "llm_queue_seconds", "provider"), "{{provider}}"),),
        ),
        Panel(
            title="Filters that ask, p95",
            about="Until a model or a webhook has judged a prompt or an answer.",
            unit="s",
            queries=(Query(quantile(0.95, "llm_filter_seconds", "filter"), "{{filter}}"),),
        ),
        Panel(
            title="Event loop lag",
            about="How late the loop is in the worst process of a machine.",
            unit="s",
            queries=(Query("max by (instance) (llm_event_loop_lag_seconds{WHERE})", "{{instance}}"),),
        ),
    ),
)

LATENCY: Final = Board(
    name="latency",
    title="llm-service: latency",
    about="How long answers take, to their first content and to their end, and which part of it is our own.",
    variables=(MODEL, PROVIDER),
    rows=(NOW, FIRST_CONTENT, WHOLE_ANSWERS, OWN_SHARE),
)
