"""What is spent, on what, what was saved, and how much may be spent still."""

from typing import Final

from scripts.dashboards.grafana import Board, Panel, Query, Row
from scripts.dashboards.queries import MODEL, PROVIDER, WHOM, highest, rate

MONEY: Final = "currencyUSD"
WRITTEN: Final = f'{WHOM}, kind=~"input|output"'
"""Cached and reasoning tokens are part of these."""


def hourly(metric: str, by: str = "", where: str = "") -> str:
    """At the pace of the moment."""
    return f"3600 * {rate(metric, by, where)}"


def within(window: str, metric: str, where: str = "") -> str:
    chosen = f"WHERE, {where}" if where else "WHERE"
    return f"sum(increase({metric}{{{chosen}}}[{window}]))"


NOW = Row(
    "Now",
    (
        Panel(
            title="Last hour",
            about="What was charged.",
            queries=(Query(within("1h", "llm_cost_usd_total", WHOM)),),
            unit=MONEY,
            kind="stat",
            width=4,
        ),
        Panel(
            title="Last 24 hours",
            about="What was charged.",
            queries=(Query(within("1d", "llm_cost_usd_total", WHOM)),),
            unit=MONEY,
            kind="stat",
            width=4,
        ),
        Panel(
            title="Saved in 24 hours",
            about="What answers that were given again would have cost.",
            queries=(Query(within("1d", "llm_saved_usd_total", 'model=~"$model"')),),
            unit=MONEY,
            kind="stat",
            width=4,
        ),
        Panel(
            title="Wasted in 24 hours",
            about="Attempts that were not the answer; charged to nobody.",
            queries=(Query(within("1d", "llm_wasted_usd_total", 'provider=~"$provider"')),),
            unit=MONEY,
            kind="stat",
            width=4,
            steps=((None, "blue"),),
        ),
        Panel(
            title="Thousand requests",
            about="What they cost at the pace of the moment, those of the cache included.",
            queries=(Query(f"1000 * {rate('llm_cost_usd_total', '', WHOM)} / {rate('llm_requests_total', '', WHOM)}"),),
            unit=MONEY,
            kind="stat",
            width=4,
        ),
        Panel(
            title="Million tokens",
            about="Of input and output, at the pace of the moment.",
            queries=(Query(f"1e6 * {rate('llm_cost_usd_total', '', WHOM)} / {rate('llm_tokens_total', '', WRITTEN)}"),),
            unit=MONEY,
            kind="stat",
            width=4,
        ),
    ),
)

SPENT = Row(
    "Spent, by the hour",
    (
        Panel(
            title="By model",
            about="The ten dearest.",
            unit=MONEY,
            stacked=True,
            queries=(Query(highest(hourly("llm_cost_usd_total", "model", WHOM)), "{{model}}"),),
        ),
        Panel(
            title="By provider",
            unit=MONEY,
            stacked=True,
            queries=(Query(hourly("llm_cost_usd_total", "provider", WHOM), "{{provider}}"),),
        ),
        Panel(
            title="By where the figure is from",
            about="The provider's own figure, or the price of a list.",
            unit=MONEY,
            queries=(Query(hourly("llm_cost_usd_total", "source", WHOM), "{{source}}"),),
            stacked=True,
        ),
        Panel(
            title="By key",
            about="The ten dearest; only with observability.metrics_key_label.",
            unit=MONEY,
            queries=(Query(highest(hourly("llm_key_cost_usd_total", "key_id")), "{{key_id}}"),),
            stacked=True,
        ),
        Panel(
            title="Saved and wasted",
            about="What was not paid again, and what was paid for nothing.",
            unit=MONEY,
            queries=(
                Query(hourly("llm_saved_usd_total", where='model=~"$model"'), "saved"),
                Query(hourly("llm_wasted_usd_total", where='provider=~"$provider"'), "wasted"),
            ),
        ),
        Panel(
            title="Tokens by model",
            about="The ten that use most; input and output, each second.",
            queries=(
                Query(
                    highest(rate("llm_tokens_total", "model, kind", WRITTEN)),
                    "{{model}} {{kind}}",
                ),
            ),
        ),
    ),
)

LEFT = Row(
    "What may be spent",
    (
        Panel(
            title="Budgets",
            about="Of the one that is used most in each scope: how much.",
            unit="percentunit",
            queries=(Query("max by (scope) (llm_budget_used_ratio{WHERE})", "{{scope}}"),),
            kind="bargauge",
            width=8,
            top=1,
            steps=((None, "green"), (0.8, "orange"), (1, "red")),
        ),
        Panel(
            title="Credit at providers",
            about="Where a provider tells it.",
            unit=MONEY,
            width=8,
            queries=(Query("min by (provider) (llm_provider_balance_usd{WHERE})", "{{provider}}"),),
        ),
        Panel(
            title="Limits against the ledger",
            unit=MONEY,
            width=8,
            about="What the limit store counts as spent beyond what the ledger has recorded; about nothing, when idle.",
            queries=(Query("max by (job) (llm_limit_drift_usd{WHERE})", "{{job}}"),),
        ),
    ),
)

COST: Final = Board(
    name="cost",
    title="llm-service: cost",
    about="What is spent, on what, what was saved, and how much may be spent still. The ledger is exact "
    "(llm-service usage report); these are the counters' rates.",
    variables=(MODEL, PROVIDER),
    rows=(NOW, SPENT, LEFT),
)
