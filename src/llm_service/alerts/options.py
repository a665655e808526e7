"""Settings of alerts: the rules, and how often they are looked at and told of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final, Literal

from llm_service.domain import Bounds, Called, Doc, LimitScope, Pattern

KindName = Literal[
    "availability",
    "latency",
    "error_ratio",
    "cost_per_hour",
    "cost_per_day",
    "budget_share",
    "provider_down",
    "balance_low",
    "cache_hit_ratio",
    "limit_drift",
    "store_down",
    "ledger_backlog",
]
Severity = Literal["critical", "warning", "info"]
Measure = Literal["first_chunk", "duration"]
StoreName = Literal["limits", "cache", "database"]

_UNITS: Final[Mapping[str, float]] = MappingProxyType({"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "": 1})
_SPAN: Final = Pattern(r"[0-9]{1,6}(?:\.[0-9]{1,3})?(?:ms|s|m|h|d)?", "a span of time such as 30s, 5m, 1h or 3d")
_NAME: Final = Pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, '.', '_' and '-'")
_LABEL: Final = Pattern(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", "a label's name: letters, digits and '_'")
LONGEST_S: Final = 3 * 86400.0
"""How far back samples go."""


def seconds(span: str) -> float:
    """Of a span of time as the settings write it: ``30s``, ``5m``, ``1h``, ``3d``; a bare number is in seconds."""
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]*)", span).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnOptions:
    """A pair of windows, and how fast the error budget may burn in both of them."""

    factor: Annotated[float, Bounds(above=0), Doc("How many times as fast as the objective allows.")]
    long: Annotated[str, _SPAN, Doc("The window that shows that it matters.")]
    short: Annotated[str, _SPAN, Doc("The window that shows that it goes on.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOptions:
    """One rule that watches the service's own figures."""

    name: Annotated[str, _NAME, Doc("What the alert is called; no two rules have the same name.")]
    kind: Annotated[KindName, Doc("What is watched: docs/alerts.md tells of each.")]
    enabled: Annotated[bool, Doc("Whether it is looked at.")] = True
    above: Annotated[
        float | None, Bounds(at_least=0), Doc("Fires while the figure is above this; what it is of, the kind says.")
    ] = None
    below: Annotated[float | None, Bounds(at_least=0), Doc("Fires while the figure is below this.")] = None
    window: Annotated[str | None, _SPAN, Doc("Over what time the figure is taken, such as `5m`.")] = None
    objective: Annotated[float | None, Bounds(above=0, at_most=0.99999), Doc("What is promised, of 1: `0.999`.")] = None
    burn: Annotated[
        tuple[BurnOptions, ...], Doc("Windows of a burn rate; one pair that burns too fast is enough.")
    ] = ()
    quantile: Annotated[
        float | None, Bounds(above=0, at_most=0.9999), Doc("Of latencies: fires while this quantile is above `above`.")
    ] = None
    measure: Annotated[Measure | None, Doc("Which latency: until the first content, or until the end.")] = None
    per: Annotated[
        Literal["service", "provider"] | None,
        Doc("Of error ratios: of answers as a whole, or of the calls of each provider."),
    ] = None
    min_count: Annotated[
        int | None, Bounds(at_least=1), Doc("With fewer requests than this in its window a rule says nothing.")
    ] = None
    providers: Annotated[tuple[str, ...], Doc("Only these providers; empty: all.")] = ()
    models: Annotated[tuple[str, ...], Doc("Of latencies: only these models; empty: all together.")] = ()
    scopes: Annotated[tuple[LimitScope, ...], Doc("Of budgets: only these scopes; empty: all.")] = ()
    stores: Annotated[tuple[StoreName, ...], Doc("Only these stores; empty: all.")] = ()
    for_: Annotated[
        str | None, Called("for"), _SPAN, Doc("How long it must hold before the alert fires, such as `5m`.")
    ] = None
    keep_firing_for: Annotated[
        str | None, _SPAN, Doc("How long the alert goes on firing after it holds no more, so that it does not flap.")
    ] = None
    severity: Annotated[Severity | None, Doc("How bad it is.")] = None
    notify: Annotated[tuple[str, ...], Doc("Names of `notifiers`; empty: those of `alerting.notify`.")] = ()
    labels: Annotated[
        Mapping[Annotated[str, _LABEL], str], Doc("Further labels of its alerts, to be silenced and routed by.")
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertingOptions:
    """How alerts are looked at and told of."""

    enabled: Annotated[bool, Doc("Whether this service evaluates alerts.")] = True
    defaults: Annotated[
        Literal["auto", "on", "off"], Doc("Whether the built-in rules apply. `auto`: where `alerts` has none.")
    ] = "auto"
    off: Annotated[tuple[str, ...], Doc("Names of rules, built-in ones too, that are not looked at.")] = ()
    notify: Annotated[tuple[str, ...], Doc("Names of `notifiers` for rules that name none.")] = ()
    interval_s: Annotated[
        float, Bounds(at_least=0.1, at_most=300), Doc("How often figures are sampled and rules looked at.")
    ] = 15.0
    group_by: Annotated[Literal["severity", "rule"], Doc("Alerts of one severity, or of one rule, share a notice.")] = (
        "severity"
    )
    group_wait_s: Annotated[
        float, Bounds(at_least=0), Doc("How long a new alert waits for others to share its notice.")
    ] = 10.0
    group_interval_s: Annotated[
        float, Bounds(at_least=0), Doc("The least time between two notices of a group that still fires.")
    ] = 60.0
    repeat_interval_s: Annotated[
        float, Bounds(at_least=1), Doc("How often a group that goes on firing is told of again.")
    ] = 14400.0
    history_days: Annotated[
        int, Bounds(at_least=1, at_most=3650), Doc("How long it is kept what fired and who was told.")
    ] = 90
