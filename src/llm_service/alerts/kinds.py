"""What each kind of rule finds in the figures: pure functions of the history. A summary says what to do.

Of too little traffic nothing is said: a share of a few requests is chance.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

from llm_service.alerts.history import History
from llm_service.alerts.options import KindName
from llm_service.alerts.rule import Burn, Rule, metric_of
from llm_service.domain import fact
from llm_service.observability import Distribution, catalog

_T = TypeVar("_T")
NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
OURS: Final = ("gateway", "upstream")
"""Whose faults count against what is promised."""
ENDED: Final = ("ok", "error", "excused")
"""How calls of providers end that nobody else has ended."""
CACHED: Final = ("hit", "semantic", "coalesced", "stale")
DAY_S: Final = 86400.0
COMMON: Final = 0.05
"""A hit ratio over a day below which there is nothing to collapse."""


@fact
class Finding:
    """Something that is not as it should be. ``value``: what the rule measured, in the unit of its kind."""

    labels: Mapping[str, str]
    value: float
    summary: str


Find = Callable[[History, Rule], Iterator[Finding]]


def findings(history: History, rule: Rule) -> Sequence[Finding]:
    """What a rule finds now, one for each combination of labels."""
    return list(_FINDS[rule.kind](history, rule))


# -- what is promised


def _availability(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: how many times as fast as allowed the error budget burns in the long window."""

    def failed(over_s: float) -> tuple[float, float]:
        return _failed(history, over_s)

    found = _burning(rule, failed)
    if found is not None:
        burn, rate, share = found
        yield Finding(
            labels=NO_LABELS,
            value=rate,
            summary=(
                f"{share:.2%} of the requests of the last {span_text(burn.long_s)} failed through no fault of their "
                f"callers: {rate:.1f} times as many as an availability of {rule.objective:.5g} allows. Look at "
                "/health for the provider or store that fails, and switch off a provider that does."
            ),
        )


def _failed(history: History, over_s: float) -> tuple[float, float]:
    """Requests that failed by our fault or a provider's, and those that count: without the callers' own faults."""
    errors = history.increase_by(catalog.REQUEST_ERRORS.name, "fault", over_s=over_s)
    requests = history.increase(catalog.REQUESTS.name, over_s=over_s)
    return sum(errors.get(fault, 0.0) for fault in OURS), requests - errors.get("caller", 0.0)


def _burning(rule: Rule, failed: Callable[[float], tuple[float, float]]) -> tuple[Burn, float, float] | None:
    """The first pair of windows in both of which the budget burns too fast; its rate and the share in the long one."""
    allowed = 1.0 - rule.objective
    for burn in rule.burn:
        bad, all_ = failed(burn.long_s)
        bad_lately, all_lately = failed(burn.short_s)
        if all_ < rule.min_count or all_lately < 1:
            continue
        rate = bad / all_ / allowed
        if rate > burn.factor and bad_lately / all_lately / allowed > burn.factor:
            return burn, rate, bad / all_
    return None


def _latency(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: the quantile in seconds, or how fast the budget of slow answers burns."""
    metric = metric_of(rule.measure)
    what = "first content" if rule.measure == "first_chunk" else "end of the answer"
    bound = next((one for one in metric.bounds if one >= rule.above), metric.bounds[-1])
    for labels in _chosen(rule):

        def taken(over_s: float, labels: Mapping[str, str] = labels) -> Distribution | None:
            return history.distribution(metric.name, over_s=over_s, **labels)

        def slow(over_s: float, taken: Callable[[float], Distribution | None] = taken) -> tuple[float, float]:
            found = taken(over_s)
            if found is None:
                return 0.0, 0.0
            return (found.share_above(bound) or 0.0) * found.count, found.count

        if rule.quantile is not None:
            yield from _slow_quantile(rule, taken(rule.window_s), labels, what)
        elif (found := _burning(rule, slow)) is not None:
            burn, rate, share = found
            said = (
                f"{share:.1%} of the requests of the last {span_text(burn.long_s)} waited longer than {bound:g} s for "
                f"the {what}, {rate:.1f} times as many as promised"
            )
            yield Finding(labels=labels, value=rate, summary=f"{said}{_of(labels)}. {_ON_SLOW}")


_ON_SLOW: Final = (
    "Compare the providers' latencies at /health, and give slow deployments less weight or route by `latency`."
)


def _slow_quantile(rule: Rule, taken: Distribution | None, labels: Mapping[str, str], what: str) -> Iterator[Finding]:
    if taken is None or taken.count < rule.min_count:
        return
    value = taken.quantile(rule.quantile or 0.0)
    if value is not None and value > rule.above:
        said = (
            f"The {rule.quantile:.4g} quantile of the time to the {what} was {value:.3g} s in the last "
            f"{span_text(rule.window_s)}, above {rule.above:g} s"
        )
        yield Finding(labels=labels, value=value, summary=f"{said}{_of(labels)}. {_ON_SLOW}")


def _chosen(rule: Rule) -> Iterator[Mapping[str, str]]:
    """The combinations of models and providers that a rule looks at, one by one."""
    for model in rule.models or (None,):
        for provider in rule.providers or (None,):
            named = {"model": model, "provider": provider}
            yield {name: value for name, value in named.items() if value is not None}


# -- errors


def _error_ratio(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: of 1."""
    if not rule.by_provider:
        bad, all_ = _failed(history, rule.window_s)
        if all_ >= rule.min_count and bad / all_ > rule.above:
            said = f"{bad / all_:.1%} of the requests of the last {span_text(rule.window_s)} failed"
            todo = "See which code grows in llm_request_errors_total, and /health for the cause."
            yield Finding(labels=NO_LABELS, value=bad / all_, summary=f"{said}, above {rule.above:.1%}. {todo}")
        return
    # Calls that a client gave up, or that another one overtook, say nothing; what callers ask wrongly is answered well.
    calls = history.increase_by(catalog.ATTEMPTS.name, "provider", over_s=rule.window_s, outcome=ENDED)
    failed = history.increase_by(catalog.ATTEMPTS.name, "provider", over_s=rule.window_s, outcome=("error",))
    for provider, count in _those(calls, rule.providers):
        ratio = failed.get(provider, 0.0) / count if count else 0.0
        if count >= rule.min_count and ratio > rule.above:
            said = f"{ratio:.1%} of the calls of {provider} in the last {span_text(rule.window_s)} failed by its fault"
            todo = (
                f"`llm-service providers test {provider}` says why; `providers disable {provider}` sends requests "
                "elsewhere."
            )
            yield Finding(labels={"provider": provider}, value=ratio, summary=f"{said}, above {rule.above:.1%}. {todo}")


# -- money


def _cost(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: USD in the window. What was not sampled yet is not guessed."""
    by_provider = history.increase_by(catalog.COST.name, "provider", over_s=rule.window_s)
    if rule.providers:
        costs = [({"provider": provider}, cost) for provider, cost in _those(by_provider, rule.providers)]
    else:
        costs = [({}, sum(by_provider.values()))]
    for labels, cost in costs:
        if cost > rule.above:
            said = f"Requests cost {cost:.2f} USD in the last {span_text(rule.window_s)}{_of(labels)}"
            todo = "`llm-service usage report --by key` says whose they are; a budget_usd of a key bounds them."
            yield Finding(labels=labels, value=cost, summary=f"{said}, more than {rule.above:g} USD. {todo}")


def _budget_share(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: of 1."""
    for scope, values in _those(history.values(catalog.BUDGET_USED.name, "scope"), rule.scopes):
        share = max(values)
        if share > rule.above:
            said = f"{share:.0%} of a budget of the scope `{scope}` is used, more than {rule.above:.0%}"
            todo = "`llm-service limits` shows which and when it begins anew; beyond it requests are refused."
            yield Finding(labels={"scope": scope}, value=share, summary=f"{said}. {todo}")


def _balance_low(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: USD. Machines are told the same at different times: the newest is the least."""
    for provider, values in _those(history.values(catalog.PROVIDER_BALANCE.name, "provider"), rule.providers):
        balance = min(values)
        if balance < rule.below:
            said = f"The credit at {provider} is down to {balance:.2f} USD, below {rule.below:g} USD"
            todo = "Top it up: without credit the provider refuses every request."
            yield Finding(labels={"provider": provider}, value=balance, summary=f"{said}. {todo}")


def _limit_drift(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: USD, either side of zero."""
    drift = max(history.value(catalog.LIMIT_DRIFT.name), key=abs, default=0.0)
    if abs(drift) > rule.above:
        said = f"The limit store and the ledger differ by {drift:.2f} USD in what was spent"
        todo = "Budgets hold as the limit store counts: look for a backlog of the ledger, and at /admin/limits."
        yield Finding(labels=NO_LABELS, value=drift, summary=f"{said}, more than {rule.above:g} USD. {todo}")


# -- what is away


def _provider_down(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: on how many machines it is down."""
    for provider, values in _those(history.values(catalog.PROVIDER_UP.name, "provider"), rule.providers):
        down = sum(1 for up in values if not up)
        if down:
            where = "" if down == len(values) else f" for {down} of {len(values)} machines"
            todo = f"`llm-service providers test {provider}` says why; requests go to fallbacks where there are some."
            yield Finding(labels={"provider": provider}, value=down, summary=f"{provider} is down{where}. {todo}")


_STORES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "limits": "Each process enforces its limits by itself until it is back (docs/limits.md)",
        "cache": "Answers are kept by each process for itself until it is back",
        "database": "Records are kept in journals until it is back; keys cannot be changed",
    }
)


def _store_down(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: from how many machines it does not answer."""
    for store, values in _those(history.values(catalog.STORE_UP.name, "store"), rule.stores):
        down = sum(1 for up in values if not up)
        if down:
            meanwhile = _STORES.get(store, "Some of its work is not done until it is back")
            todo = "/health has the cause under `stores`."
            yield Finding(
                labels={"store": store},
                value=down,
                summary=f"The store `{store}` does not answer. {meanwhile}. {todo}",
            )


def _ledger_backlog(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: seconds."""
    age = max(history.value(catalog.LEDGER_BACKLOG_AGE.name), default=0.0)
    if age > rule.above:
        records = sum(history.value(catalog.LEDGER_BACKLOG.name))
        said = f"{records:.0f} records wait for the database, the oldest for {span_text(age)}"
        todo = "Nothing is lost while the journals' disk lasts; see `ledger` at /health for what keeps them."
        yield Finding(labels=NO_LABELS, value=age, summary=f"{said}. {todo}")


def _cache_hit_ratio(history: History, rule: Rule) -> Iterator[Finding]:
    """``value``: of 1. Compared with the day before the window, so that no figure has to be chosen."""
    hits, asked = _asked(history, rule.window_s, 0.0)
    hits_before, asked_before = _asked(history, DAY_S, rule.window_s)
    if asked < rule.min_count or asked_before < rule.min_count:
        return
    ratio, usual = hits / asked, hits_before / asked_before
    if usual >= COMMON and ratio < rule.below * usual:
        said = f"The cache answered {ratio:.1%} of the requests of the last {span_text(rule.window_s)}"
        todo = "Look for clients that changed their prompts, a purge, or a cache too small (evictions at /admin/cache)."
        yield Finding(labels=NO_LABELS, value=ratio, summary=f"{said}, and {usual:.1%} in the day before. {todo}")


def _asked(history: History, over_s: float, ending_s: float) -> tuple[float, float]:
    hits = history.increase(catalog.CACHE_HITS.name, over_s=over_s, ending_s=ending_s, kind=CACHED)
    return hits, hits + history.increase(catalog.CACHE_MISSES.name, over_s=over_s, ending_s=ending_s)


# -- forms that repeat


def _those(by_name: Mapping[str, _T], chosen: Sequence[str]) -> Iterator[tuple[str, _T]]:
    """All in the order of their names, or the chosen ones alone."""
    return ((name, by_name[name]) for name in sorted(by_name) if not chosen or name in chosen)


def _of(labels: Mapping[str, str]) -> str:
    return "".join(f", {name} {value}" for name, value in labels.items())


def span_text(span_s: float) -> str:
    """A span of time in words: ``5 minutes``."""
    for unit, length_s in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if span_s >= length_s:
            count = round(span_s / length_s, 1)
            return unit if count == 1 else f"{count:g} {unit}s"
    return f"{span_s:.3g} seconds"


_FINDS: Final[Mapping[KindName, Find]] = MappingProxyType(
    {
        "availability": _availability,
        "latency": _latency,
        "error_ratio": _error_ratio,
        "cost_per_hour": _cost,
        "cost_per_day": _cost,
        "budget_share": _budget_share,
        "provider_down": _provider_down,
        "balance_low": _balance_low,
        "cache_hit_ratio": _cache_hit_ratio,
        "limit_drift": _limit_drift,
        "store_down": _store_down,
        "ledger_backlog": _ledger_backlog,
    }
)
