"""What live charts need of a snapshot, and the figures between two moments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from llm_service.domain import CACHE_HITS, fact, fact_in_order
from llm_service.observability import Distribution, Snapshot

FAILED: Final = ("error", "interrupted")
"""Statuses of requests that count as errors; what a limit or a client has ended does not."""
TOP: Final = 10
MOST_NAMES: Final = 100
"""Providers, and models, that are told apart; of those with the most requests."""
DIGITS: Final = 6
HOUR_S: Final = 3600.0
NOBODY: Final = "none"
"""How the metrics name the provider where nobody was asked, and the model where there is none."""
SERIES: Final = (
    "requests_per_s",
    "errors_per_s",
    "error_ratio",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "first_chunk_p50_s",
    "first_chunk_p95_s",
    "input_tokens_per_s",
    "output_tokens_per_s",
    "cost_usd_per_h",
    "hit_ratio",
    "in_flight",
)
"""The figures that are one number at each moment."""


@fact_in_order
class Counted:
    """The requests of one provider or model up to a moment."""

    requests: float
    errors: float
    durations: Distribution | None


NOTHING: Final = Counted(0.0, 0.0, None)
Names = Mapping[str, Counted]


@fact
class Frame:
    """Counts up to a moment (Unix seconds), and what is so at it. Costs some 600 bytes to keep."""

    at: float
    requests: float
    errors: float
    input_tokens: float
    output_tokens: float
    cost_usd: float
    hits: float
    misses: float
    in_flight: float
    workers: int
    durations: Distribution | None
    first_chunks: Distribution | None


@fact
class ByName:
    """The same moment by provider and by model: some kilobytes."""

    at: float
    providers: Names
    models: Names


@fact
class NamedFigures:
    """How one provider or model does. ``None``: there were no requests."""

    name: str
    requests_per_s: float
    error_ratio: float | None
    latency_p95_s: float | None


@fact
class MetricsSnapshot:
    """The service at a moment (Unix seconds). Durations in seconds, money in USD; ``None``: nothing was there to tell.

    What is counted per second or hour is of the last ``interval_s``. Ratios, quantiles and the tables are of the last
    ``window_s``, which is longer where the interval has too few requests to say anything.
    """

    at: float
    interval_s: float
    window_s: float
    requests_per_s: float
    errors_per_s: float
    error_ratio: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    first_chunk_p50_s: float | None
    first_chunk_p95_s: float | None
    input_tokens_per_s: float
    output_tokens_per_s: float
    cost_usd_per_h: float
    hit_ratio: float | None
    in_flight: int
    workers: int
    by_provider: tuple[NamedFigures, ...]
    by_model: tuple[NamedFigures, ...]


def metrics_object(snapshot: MetricsSnapshot) -> dict[str, Any]:
    """A snapshot as the interface shows it."""
    return {**asdict(snapshot), "at": stamp(snapshot.at)}


def stamp(at: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- from a snapshot


def frame_of(snapshot: Snapshot) -> Frame:
    """What is kept of a snapshot for an hour."""
    requests, tokens = snapshot.by("llm_requests_total", "status"), snapshot.by("llm_tokens_total", "kind")
    cached, total = snapshot.by("llm_cache_hits_total", "kind"), snapshot.total
    return Frame(
        at=snapshot.at,
        requests=sum(requests.values()),
        errors=sum(requests.get(status, 0.0) for status in FAILED),
        input_tokens=tokens.get("input", 0.0),
        output_tokens=tokens.get("output", 0.0),
        cost_usd=total("llm_cost_usd_total"),
        hits=sum(count for kind, count in cached.items() if kind in CACHE_HITS),
        misses=total("llm_cache_misses_total"),
        in_flight=total("llm_requests_in_flight"),
        workers=int(total("llm_workers")),
        durations=_all(snapshot, "llm_request_duration_seconds"),
        first_chunks=_all(snapshot, "llm_time_to_first_chunk_seconds"),
    )


def names_of(snapshot: Snapshot, label: Literal["provider", "model"]) -> Names:
    """What is kept of it for a minute by one label."""
    requests = snapshot.by("llm_requests_total", label)
    errors = snapshot.by("llm_requests_total", label, status=FAILED)
    named = (name for name in requests if name != NOBODY)
    most = sorted(named, key=requests.__getitem__, reverse=True)[:MOST_NAMES]
    durations = _durations(snapshot, label, most)
    return MappingProxyType(
        {name: Counted(requests[name], errors.get(name, 0.0), durations.get(name)) for name in most}
    )


def _durations(snapshot: Snapshot, label: str, names: Sequence[str]) -> dict[str, Distribution]:
    """The durations of these, in one pass over the series."""
    family = snapshot.families.get("llm_request_duration_seconds")
    found: dict[str, list[Distribution]] = {name: [] for name in names}
    if family is not None:
        place = family.metric.labels.index(label)
        for labels, one in family.distributions.items():
            if (some := found.get(labels[place])) is not None:
                some.append(one)
    return {name: _summed(some) for name, some in found.items() if some}


def _all(snapshot: Snapshot, name: str) -> Distribution | None:
    family = snapshot.families.get(name)
    return _summed([*family.distributions.values()]) if family is not None and family.distributions else None


def _summed(some: Sequence[Distribution]) -> Distribution:
    """The sum of one or more, column by column: there may be a thousand, each second."""
    if len(some) == 1:
        return some[0]
    counts = tuple(map(sum, zip(*(one.counts for one in some), strict=True)))
    return Distribution(some[0].bounds, counts, sum(one.sum for one in some))


# -- between two


def series_between(earlier: Frame, later: Frame) -> dict[str, float | None]:
    """The figures of ``SERIES``; the two frames differ in time."""
    return {**rates_between(earlier, later), **shares_between(earlier, later), "in_flight": later.in_flight}


def rates_between(earlier: Frame, later: Frame) -> dict[str, float]:
    """What is counted per second, and money per hour."""
    seconds = later.at - earlier.at
    return {
        "requests_per_s": _rate(earlier.requests, later.requests, seconds),
        "errors_per_s": _rate(earlier.errors, later.errors, seconds),
        "input_tokens_per_s": _rate(earlier.input_tokens, later.input_tokens, seconds),
        "output_tokens_per_s": _rate(earlier.output_tokens, later.output_tokens, seconds),
        "cost_usd_per_h": _rate(earlier.cost_usd, later.cost_usd, seconds / HOUR_S),
    }


def shares_between(earlier: Frame, later: Frame) -> dict[str, float | None]:
    """Ratios and quantiles; ``None`` where nothing was there to be divided."""
    hits, misses = _grown(earlier.hits, later.hits), _grown(earlier.misses, later.misses)
    requests, errors = _grown(earlier.requests, later.requests), _grown(earlier.errors, later.errors)
    durations, first = _added(earlier.durations, later.durations), _added(earlier.first_chunks, later.first_chunks)
    return {
        "error_ratio": _ratio(errors, requests),
        "latency_p50_s": _quantile(durations, 0.50),
        "latency_p95_s": _quantile(durations, 0.95),
        "latency_p99_s": _quantile(durations, 0.99),
        "first_chunk_p50_s": _quantile(first, 0.50),
        "first_chunk_p95_s": _quantile(first, 0.95),
        "hit_ratio": _ratio(hits, hits + misses),
    }


def names_between(earlier: Names, later: Names, seconds: float) -> tuple[NamedFigures, ...]:
    """Those with the most requests in between, the most first; who had none is left out.

    So is who has just come to be among the ``MOST_NAMES``: what it had before was not kept.
    """
    found = _figures(earlier, later, seconds)
    return tuple(sorted(found, key=lambda one: (-one.requests_per_s, one.name))[:TOP])


def _figures(earlier: Names, later: Names, seconds: float) -> Iterable[NamedFigures]:
    all_were_kept = len(earlier) < MOST_NAMES
    for name, now in later.items():
        then = earlier.get(name, NOTHING if all_were_kept else now)
        requests = _grown(then.requests, now.requests)
        if requests:
            yield NamedFigures(
                name=name,
                requests_per_s=round(requests / seconds, DIGITS),
                error_ratio=_ratio(_grown(then.errors, now.errors), requests),
                latency_p95_s=_quantile(_added(then.durations, now.durations), 0.95),
            )


def _grown(then: float, now: float) -> float:
    """Never less than nothing, should a process have begun anew."""
    return max(now - then, 0.0)


def _rate(then: float, now: float, per: float) -> float:
    return round(_grown(then, now) / per, DIGITS)


def _ratio(part: float, whole: float) -> float | None:
    return round(min(part / whole, 1.0), DIGITS) if whole else None


def _added(then: Distribution | None, now: Distribution | None) -> Distribution | None:
    return now if now is None or then is None else now.since(then)


def _quantile(values: Distribution | None, q: float) -> float | None:
    found = None if values is None else values.quantile(q)
    return None if found is None else round(found, DIGITS)
