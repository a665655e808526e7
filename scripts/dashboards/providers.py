"""How the upstreams are, what was tried besides, and how the stores are."""

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Query, Row
from scripts.dashboards.queries import PROVIDER, highest, quantile, rate

OF: Final = 'provider=~"$provider"'
FAILED: Final = f'{OF}, outcome="error"'
UP: Final = {"0": ("down", "red"), "1": ("up", "green")}
BREAKER: Final = {"0": ("closed", "green"), "1": ("half-open", "orange"), "2": ("open", "red")}
UP_STEPS: Final = ((None, "red"), (1, "green"))

NOW = Row(
    "Now",
    (
        Panel(
            title="Providers",
            about="down: it failed lately, or is switched off.",
            queries=(Query(f"min by (provider) (llm_provider_up{{WHERE, {OF}}})", "{{provider}}"),),
            kind="stat",
            width=12,
            steps=UP_STEPS,
            states=UP,
        ),
        Panel(
            title="Stores",
            about="As the machine sees them that sees them worst.",
            queries=(Query("min by (store) (llm_store_up{WHERE})", "{{store}}"),),
            kind="stat",
            width=12,
            steps=UP_STEPS,
            states=UP,
        ),
    ),
)

CALLS = Row(
    "Calls",
    (
        Panel(
            title="Attempts by end",
            about="lost: another attempt of the same request was first.",
            unit="reqps",
            stacked=True,
            queries=(Query(rate("llm_upstream_attempts_total", "outcome", OF), "{{outcome}}"),),
        ),
        Panel(
            title="Share of attempts that fail",
            unit="percentunit",
            top=1,
            queries=(
                Query(
                    f"{rate('llm_upstream_attempts_total', 'provider', FAILED)}"
                    f" / {rate('llm_upstream_attempts_total', 'provider', OF)}",
                    "{{provider}}",
                ),
            ),
        ),
        Panel(
            title="Failures by code",
            about="The ten most frequent.",
            unit="reqps",
            queries=(Query(highest(rate("llm_upstream_errors_total", "provider, code", OF)), "{{provider}} {{code}}"),),
        ),
        Panel(
            title="First content, p95",
            about="From the request's last byte.",
            unit="s",
            queries=(Query(quantile(0.95, "llm_time_to_first_chunk_seconds", "provider", OF), "{{provider}}"),),
        ),
        Panel(
            title="Calls that run",
            queries=(Query(f"sum by (provider) (llm_provider_requests_in_flight{{WHERE, {OF}}})", "{{provider}}"),),
        ),
        Panel(
            title="Requests that wait for a place",
            about="More than a few for long: raise max_concurrency.",
            queries=(Query(f"sum by (provider) (llm_provider_requests_waiting{{WHERE, {OF}}})", "{{provider}}"),),
        ),
        Panel(
            title="They have waited for, p95",
            unit="s",
            queries=(Query(quantile(0.95, "llm_queue_seconds", "provider", OF), "{{provider}}"),),
        ),
        Panel(
            title="Credit",
            about="Where a provider tells it.",
            unit="currencyUSD",
            queries=(Query(f"min by (provider) (llm_provider_balance_usd{{WHERE, {OF}}})", "{{provider}}"),),
        ),
    ),
)

RESCUES = Row(
    "What was tried besides",
    (
        Panel(
            title="Breakers",
            about="One line for each deployment.",
            kind="state-timeline",
            width=24,
            queries=(
                Query(
                    f"max by (provider, upstream_model) (llm_breaker_state{{WHERE, {OF}}})",
                    "{{provider}} {{upstream_model}}",
                ),
            ),
            steps=((None, "green"), (1, "orange"), (2, "red")),
            states=BREAKER,
        ),
        Panel(
            title="Up",
            about="One line for each provider.",
            kind="state-timeline",
            width=24,
            queries=(Query(f"min by (provider) (llm_provider_up{{WHERE, {OF}}})", "{{provider}}"),),
            steps=UP_STEPS,
            states=UP,
        ),
        Panel(
            title="Answered by another deployment",
            about="Than the first that was tried, by model.",
            unit="reqps",
            width=8,
            queries=(Query(highest(rate("llm_fallbacks_total", "model")), "{{model}}"),),
        ),
        Panel(
            title="Second attempts beside late ones",
            about="won: it was first.",
            unit="reqps",
            width=8,
            queries=(Query(rate("llm_hedges_total", "outcome"), "{{outcome}}"),),
        ),
        Panel(
            title="Wasted, by the hour",
            about="Attempts that were not the answer.",
            unit="currencyUSD",
            width=8,
            queries=(Query(f"3600 * {rate('llm_wasted_usd_total', 'provider', OF)}", "{{provider}}"),),
        ),
    ),
)

STORES = Row(
    "Stores and ledger",
    (
        Panel(
            title="Up",
            about="One line for each store and machine.",
            kind="state-timeline",
            width=24,
            queries=(Query("min by (instance, store) (llm_store_up{WHERE})", "{{store}} {{instance}}"),),
            steps=UP_STEPS,
            states=UP,
        ),
        Panel(
            title="Records that wait for the database",
            about="They are safe in journals.",
            queries=(Query("sum by (instance) (llm_ledger_backlog{WHERE})", "{{instance}}"),),
        ),
        Panel(
            title="Since when",
            about="Age of the oldest of them.",
            unit="s",
            queries=(Query("max by (instance) (llm_ledger_backlog_seconds{WHERE})", "{{instance}}"),),
        ),
    ),
)

PROVIDERS: Final = Board(
    name="providers",
    title="llm-service: providers",
    about="How the upstreams are, what was tried besides, and how the stores are.",
    variables=(PROVIDER,),
    rows=(NOW, CALLS, RESCUES, STORES),
)
