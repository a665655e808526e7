"""A rule with nothing left open: what the settings say, and the defaults of its kind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final

from llm_service.alerts.options import (
    LONGEST_S,
    AlertingOptions,
    AlertOptions,
    BurnOptions,
    KindName,
    Measure,
    Severity,
    seconds,
)
from llm_service.domain import fact
from llm_service.observability import Metric, catalog

FEW: Final = 20
"""Requests of which a share says something."""
FAST_BURN: Final = (
    BurnOptions(factor=14.4, long="1h", short="5m"),
    BurnOptions(factor=6.0, long="6h", short="30m"),
)
"""Two percent of a month's error budget in an hour, five in six (sre.google/workbook/alerting-on-slos/)."""
SLOW_BURN: Final = (
    BurnOptions(factor=3.0, long="1d", short="2h"),
    BurnOptions(factor=1.0, long="3d", short="6h"),
)
"""Ten percent in a day or in three."""


@fact
class Burn:
    """How fast the error budget may burn in both windows (seconds)."""

    factor: float
    long_s: float
    short_s: float


@fact
class KindDefaults:
    """What a kind takes, and what holds where a rule does not say. ``needs``: what it must say."""

    takes: frozenset[str]
    needs: frozenset[str] = frozenset()
    above: float = 0.0
    below: float = 0.0
    window_s: float = 300.0
    objective: float = 0.999
    burn: tuple[BurnOptions, ...] = FAST_BURN
    quantile: float | None = None
    min_count: int = FEW
    for_s: float = 0.0
    keep_s: float = 60.0
    severity: Severity = "warning"


def _takes(*names: str) -> frozenset[str]:
    return frozenset(names)


KINDS: Final[Mapping[KindName, KindDefaults]] = MappingProxyType(
    {
        "availability": KindDefaults(takes=_takes("objective", "burn", "min_count"), severity="critical"),
        "latency": KindDefaults(
            takes=_takes(
                "above", "measure", "quantile", "window", "objective", "burn", "min_count", "providers", "models"
            ),
            needs=_takes("above"),
            objective=0.95,
        ),
        "error_ratio": KindDefaults(
            takes=_takes("above", "window", "min_count", "per", "providers"),
            above=0.5,
            for_s=60.0,
        ),
        "cost_per_hour": KindDefaults(takes=_takes("above", "providers"), needs=_takes("above"), window_s=3600.0),
        "cost_per_day": KindDefaults(takes=_takes("above", "providers"), needs=_takes("above"), window_s=86400.0),
        "budget_share": KindDefaults(takes=_takes("above", "scopes"), above=0.9),
        "provider_down": KindDefaults(takes=_takes("providers"), for_s=60.0, severity="critical"),
        "balance_low": KindDefaults(takes=_takes("below", "providers"), below=5.0, keep_s=0.0),
        "cache_hit_ratio": KindDefaults(
            takes=_takes("below", "window", "min_count"), below=0.5, window_s=1800.0, min_count=100, for_s=300.0
        ),
        "limit_drift": KindDefaults(takes=_takes("above"), above=1.0, for_s=300.0),
        "store_down": KindDefaults(takes=_takes("stores"), for_s=30.0, severity="critical"),
        "ledger_backlog": KindDefaults(takes=_takes("above"), above=300.0, for_s=60.0),
    }
)
_EVERY_KIND: Final = _takes(
    "name", "kind", "enabled", "for_", "keep_firing_for", "severity", "notify", "labels"
)  # fmt: skip


@fact
class Rule:
    """What is watched, from when on it is an alert, and who is told. Spans are in seconds; money is in USD."""

    name: str
    kind: KindName
    above: float
    below: float
    window_s: float
    objective: float
    burn: tuple[Burn, ...]
    quantile: float | None
    measure: Measure
    by_provider: bool
    min_count: int
    providers: tuple[str, ...]
    models: tuple[str, ...]
    scopes: tuple[str, ...]
    stores: tuple[str, ...]
    for_s: float
    keep_s: float
    severity: Severity
    notify: tuple[str, ...]
    labels: Mapping[str, str]

    @classmethod
    def of(cls, options: AlertOptions, *, notify: tuple[str, ...] = ()) -> "Rule":
        """From settings that have no problems. ``notify``: whom it tells where it names nobody."""
        usual = KINDS[options.kind]
        burn = options.burn or usual.burn
        return cls(
            name=options.name,
            kind=options.kind,
            above=usual.above if options.above is None else options.above,
            below=usual.below if options.below is None else options.below,
            window_s=usual.window_s if options.window is None else seconds(options.window),
            objective=options.objective or usual.objective,
            burn=tuple(Burn(factor=one.factor, long_s=seconds(one.long), short_s=seconds(one.short)) for one in burn),
            quantile=options.quantile,
            measure=options.measure or "first_chunk",
            by_provider=options.per == "provider",
            min_count=options.min_count or usual.min_count,
            providers=options.providers,
            models=options.models,
            scopes=options.scopes,
            stores=options.stores,
            for_s=usual.for_s if options.for_ is None else seconds(options.for_),
            keep_s=usual.keep_s if options.keep_firing_for is None else seconds(options.keep_firing_for),
            severity=options.severity or usual.severity,
            notify=tuple(dict.fromkeys(options.notify or notify)),
            labels=dict(options.labels),
        )


DEFAULT_RULES: Final[tuple[AlertOptions, ...]] = (
    AlertOptions(name="availability-fast", kind="availability", burn=FAST_BURN, severity="critical"),
    AlertOptions(name="availability-slow", kind="availability", burn=SLOW_BURN, severity="warning"),
    AlertOptions(name="first-chunk-slow", kind="latency", measure="first_chunk", above=12.8, objective=0.95),
    AlertOptions(name="provider-errors", kind="error_ratio", per="provider"),
    AlertOptions(name="provider-down", kind="provider_down"),
    AlertOptions(name="balance-low", kind="balance_low"),
    AlertOptions(name="budget-nearly-used", kind="budget_share"),
    AlertOptions(name="cache-collapsed", kind="cache_hit_ratio"),
    AlertOptions(name="limit-drift", kind="limit_drift"),
    AlertOptions(name="store-down", kind="store_down"),
    AlertOptions(name="ledger-backlog", kind="ledger_backlog"),
)
"""What is watched where nobody says anything. Costs are not: nobody but you knows what is too much."""
RUNBOOK: Final[Mapping[str, str]] = MappingProxyType(
    {rule.name: f"docs/operations/runbook.md#{rule.name}" for rule in DEFAULT_RULES}
)
"""Where it is written what to do about each of these: a path in the repository, as rules for Prometheus name it."""


def rules_of(alerts: Sequence[AlertOptions], alerting: AlertingOptions) -> tuple[Rule, ...]:
    """The rules that are looked at. A configured rule takes the place of a built-in one of its name."""
    wants_defaults = alerting.defaults == "on" or (alerting.defaults == "auto" and not alerts)
    own = {one.name for one in alerts}
    built_in = [one for one in DEFAULT_RULES if one.name not in own] if wants_defaults else []
    looked_at = [one for one in (*alerts, *built_in) if one.enabled and one.name not in alerting.off]
    return tuple(Rule.of(one, notify=alerting.notify) for one in looked_at)


def rule_problems(options: AlertOptions) -> Iterator[tuple[str, str]]:
    """What is wrong with a rule: a setting's name, and the end of a sentence that begins with it."""
    usual = KINDS[options.kind]
    for one in fields(AlertOptions):
        given = getattr(options, one.name) != one.default and one.name not in _EVERY_KIND
        if given and one.name not in usual.takes:
            words = ", ".join(sorted(usual.takes))
            yield one.name, f"means nothing to a rule of the kind {options.kind}, which takes {words}"
    for name in sorted(usual.needs):
        if getattr(options, name) is None:
            yield name, f"must be set for a rule of the kind {options.kind}"
    if options.quantile is not None and (options.objective is not None or options.burn):
        yield "quantile", "cannot stand beside objective or burn: a latency is watched in one of two ways"
    if options.window is not None and options.kind == "latency" and options.quantile is None:
        yield "window", "goes with quantile; the windows of a burn rate are those of burn"
    if options.kind == "error_ratio" and options.providers and options.per != "provider":
        yield "providers", "goes with per: provider"
    yield from _bad_windows(options)
    yield from _never_so(options)


def _never_so(options: AlertOptions) -> Iterator[tuple[str, str]]:
    """What no figure can ever be: such a rule would look as if it watched something."""
    above, shares = options.above, ("error_ratio", "budget_share")
    if options.kind in shares and above is not None and above >= 1:
        yield "above", "is a share of 1 and must be below that: 0.5 is half"
    if options.kind == "cache_hit_ratio" and options.below is not None and options.below > 1:
        yield "below", "is a share of the usual ratio and must be at most 1: 0.5 is half of it"
    if options.kind == "latency" and above is not None:
        longest_s = metric_of(options.measure or "first_chunk").bounds[-1]
        if above > longest_s or (above == longest_s and options.quantile is not None):
            yield "above", f"must be below {longest_s:g}: what takes longer is measured as that"
    yield from _burns_too_slow(options)


def _burns_too_slow(options: AlertOptions) -> Iterator[tuple[str, str]]:
    """When everything fails, the budget burns ``1 / (1 - objective)`` times as fast as allowed."""
    usual = KINDS[options.kind]
    if "burn" not in usual.takes or options.quantile is not None:
        return
    fastest = 1 / (1 - (options.objective or usual.objective))
    for number, one in enumerate(options.burn):
        if one.factor >= fastest:
            yield f"burn[{number}]", f"must have a factor below {fastest:.4g}: with this objective nothing burns faster"
    if not options.burn and all(one.factor >= fastest for one in usual.burn):
        yield "objective", "needs burn beside it: with so low a one nothing burns as fast as the usual windows want"


def metric_of(measure: Measure) -> Metric:
    """The histogram of a latency."""
    return catalog.TIME_TO_FIRST_CHUNK if measure == "first_chunk" else catalog.REQUEST_DURATION


def _bad_windows(options: AlertOptions) -> Iterator[tuple[str, str]]:
    if options.window is not None and not 0 < seconds(options.window) <= LONGEST_S:
        yield "window", "must be above 0 and at most 3d, which is how far back samples go"
    for number, one in enumerate(options.burn):
        if not 0 < seconds(one.short) <= seconds(one.long) <= LONGEST_S:
            yield f"burn[{number}]", "needs a short window that is no longer than the long one, and that at most 3d"


def terms_of(rule: Rule) -> dict[str, Any]:
    """What a rule goes by, of what its kind takes: by the settings' names, spans in seconds."""
    burns = rule.kind == "availability" or (rule.kind == "latency" and rule.quantile is None)
    known: dict[str, Any] = {
        "above": rule.above,
        "below": rule.below,
        "window_s": rule.window_s,
        "objective": rule.objective,
        "burn": [{"factor": one.factor, "long_s": one.long_s, "short_s": one.short_s} for one in rule.burn],
        "quantile": rule.quantile,
        "measure": rule.measure,
        "per": "provider" if rule.by_provider else "service",
        "min_count": rule.min_count,
        "providers": list(rule.providers),
        "models": list(rule.models),
        "scopes": list(rule.scopes),
        "stores": list(rule.stores),
    }
    names = {"window_s" if name == "window" else name for name in KINDS[rule.kind].takes}
    names -= {"window_s", "quantile"} if burns else {"objective", "burn"}
    if rule.kind in ("cost_per_hour", "cost_per_day"):
        names.add("window_s")
    return {name: value for name, value in known.items() if name in names}
