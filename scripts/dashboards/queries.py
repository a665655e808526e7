"""Expressions that several panels have: rates, shares and quantiles over what the reader has chosen."""

from typing import Final

from scripts.dashboards.grafana import Query, Variable

WHOM: Final = 'model=~"$model", provider=~"$provider"'
MODEL: Final = Variable(name="model", label="Model", of='label_values(llm_requests_total{job=~"$job"}, model)')
PROVIDER: Final = Variable(name="provider", label="Provider", of='label_values(llm_provider_up{job=~"$job"}, provider)')


def rate(metric: str, by: str = "", where: str = "") -> str:
    """What a counter gains in a second, added up over all labels but one."""
    chosen = f"WHERE, {where}" if where else "WHERE"
    gained = f"(rate({metric}{{{chosen}}}[$__rate_interval]))"
    return f"sum by ({by}) {gained}" if by else f"sum{gained}"


def highest(expr: str, count: int = 10) -> str:
    """The highest at each moment. More lines than that nobody can tell apart."""
    return f"topk({count}, {expr})"


def quantile(q: float, metric: str, by: str = "", where: str = "") -> str:
    """Of a histogram, over the time of one step."""
    buckets = rate(f"{metric}_bucket", f"le, {by}" if by else "le", where)
    return f"histogram_quantile({q}, {buckets})"


def quantiles(metric: str, where: str = "") -> tuple[Query, ...]:
    """The usual three."""
    return tuple(Query(quantile(q, metric, where=where), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99))


def heat(metric: str, where: str = "") -> str:
    """How many fell into each bucket."""
    chosen = f"WHERE, {where}" if where else "WHERE"
    return f"sum by (le) (increase({metric}_bucket{{{chosen}}}[$__rate_interval]))"
