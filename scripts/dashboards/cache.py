"""How many requests were answered without a call, what that saved, and how full the cache is."""

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Query, Row
from scripts.dashboards.queries import quantile, rate

NO_REPLAY: Final = 'kind!="replay"'
HITS: Final = f"({rate('llm_cache_hits_total', where=NO_REPLAY)} or vector(0))"
RATIO: Final = f"{HITS} / ({HITS} + ({rate('llm_cache_misses_total')} or vector(0)))"

NOW = Row(
    "Now",
    (
        Panel(
            title="Hit ratio",
            about="Of the requests that the cache could have answered: those that it did.",
            queries=(Query(RATIO),),
            unit="percentunit",
            kind="stat",
            width=6,
            decimals=1,
        ),
        Panel(
            title="Saved in 24 hours",
            about="What the answers had cost when they were made.",
            queries=(Query("sum(increase(llm_saved_usd_total{WHERE}[1d]))"),),
            unit="currencyUSD",
            kind="stat",
            width=6,
        ),
        Panel(
            title="Kept answers",
            queries=(Query("max(llm_cache_entries{WHERE})"),),
            kind="stat",
            width=6,
        ),
        Panel(
            title="They take",
            queries=(Query("max(llm_cache_bytes{WHERE})"),),
            unit="bytes",
            kind="stat",
            width=6,
        ),
    ),
)

ANSWERS = Row(
    "Answers",
    (
        Panel(
            title="Hit ratio",
            about="With coalesced requests, which shared a call that was on its way.",
            queries=(Query(RATIO, "hits"),),
            unit="percentunit",
            top=1,
        ),
        Panel(
            title="Hits and misses",
            stacked=True,
            unit="reqps",
            about="semantic: the same in other words. stale: past its time. replay: under its key.",
            queries=(
                Query(rate("llm_cache_hits_total", "kind"), "{{kind}}"),
                Query(rate("llm_cache_misses_total"), "miss"),
            ),
        ),
        Panel(
            title="Requests by what the cache did",
            about="As the header x-llm-cache tells.",
            unit="reqps",
            stacked=True,
            queries=(Query(rate("llm_requests_total", "cache"), "{{cache}}"),),
        ),
        Panel(
            title="Time to the end by what the cache did, p95",
            unit="s",
            queries=(Query(quantile(0.95, "llm_request_duration_seconds", "cache"), "{{cache}}"),),
        ),
        Panel(
            title="Saved, by the hour",
            about="By the model that was asked for.",
            unit="currencyUSD",
            stacked=True,
            queries=(Query(f"topk(10, 3600 * {rate('llm_saved_usd_total', 'model')})", "{{model}}"),),
        ),
        Panel(
            title="Our own share by stage, p95",
            about="A hit is our own work alone.",
            unit="s",
            queries=(Query(quantile(0.95, "llm_overhead_seconds", "stage"), "{{stage}}"),),
        ),
    ),
)

ROOM = Row(
    "Room",
    (
        Panel(
            title="Bytes",
            about="What kept answers take.",
            unit="bytes",
            width=8,
            queries=(Query("max by (job) (llm_cache_bytes{WHERE})", "{{job}}"),),
        ),
        Panel(
            title="Answers",
            width=8,
            queries=(Query("max by (job) (llm_cache_entries{WHERE})", "{{job}}"),),
        ),
        Panel(
            title="Evictions",
            about="Answers that made room for others, each second. Many: raise cache.max_bytes.",
            width=8,
            queries=(Query(rate("llm_cache_evictions_total", "instance"), "{{instance}}"),),
            unit="ops",
        ),
    ),
)

CACHE: Final = Board(
    name="cache",
    title="llm-service: cache",
    about="How many requests were answered without a call, what that saved, and how full the cache is.",
    rows=(NOW, ANSWERS, ROOM),
)
