"""Figures as text: Prometheus's format 0.0.4, and OpenMetrics 1.0 with exemplars, for those that take it.

https://prometheus.io/docs/instrumenting/exposition_formats/ (read 2026-11-26);
https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from llm_service.observability.metrics.meters import Exemplar
from llm_service.observability.metrics.metric import Metric
from llm_service.observability.metrics.pace import Pace
from llm_service.observability.metrics.snapshot import Distribution, Family, Labels, Snapshot
from llm_service.runtime import Clock

PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MOST_PREPARED: Final = 20_000
"""Series whose beginnings of lines are kept; all are forgotten when there are more."""

Exemplars = Callable[[Metric, Labels], Mapping[int, Exemplar]]
"""Those of a series, by the bucket's place."""


def wants_openmetrics(accept: str) -> bool:
    """Whether a scraper takes OpenMetrics 1.0, and likes nothing of ours better (RFC 9110, section 12.5.1)."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0, "text/*": 0.0, "*/*": 0.0}
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        named = dict(parameter.partition("=")[::2] for parameter in parameters)
        if kind in weights and named.get("version", "1.0.0") in ("1.0.0", "0.0.4"):
            weights[kind] = max(weights[kind], _weight(named.get("q", "1")))
    open_weight, *others = weights.values()
    return open_weight > 0 and open_weight >= max(others)


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Exposition:
    """Renders snapshots; what a series's lines begin with is made once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._prepared: dict[tuple[str, Labels], str] = {}

    async def prometheus(self, snapshot: Snapshot) -> bytes:
        """The text format. Lets the event loop turn every few milliseconds."""
        return await self._text(self._families(snapshot, open_metrics=False, exemplars=_none))

    async def openmetrics(self, snapshot: Snapshot, exemplars: Exemplars) -> bytes:
        """OpenMetrics."""
        return await self._text(self._families(snapshot, open_metrics=True, exemplars=exemplars))

    async def _text(self, lines: Iterator[str]) -> bytes:
        pace, out = Pace(self._clock), list[str]()
        pieces: list[bytes] = []
        for line in lines:
            out.append(line)
            if pace.is_over:
                pieces.append("".join(out).encode())
                out.clear()
                await pace.rest()
        return b"".join((*pieces, "".join(out).encode()))

    def _families(self, snapshot: Snapshot, *, open_metrics: bool, exemplars: Exemplars) -> Iterator[str]:
        for family in snapshot.families.values():
            yield _head(family.metric, open_metrics=open_metrics)
            if family.metric.kind == "histogram":
                for labels, counted in family.distributions.items():
                    shown = exemplars(family.metric, labels)
                    yield self._histogram(family.metric, labels, counted, shown)
            else:
                yield from self._numbers(family)
        if open_metrics:
            yield "# EOF\n"

    def _numbers(self, family: Family) -> Iterator[str]:
        for labels, value in family.numbers.items():
            begins = self._prepared.get((family.metric.name, labels))
            if begins is None:
                begins = self._prepare(family.metric, labels, family.metric.name + braced(family.metric, labels) + " ")
            yield f"{begins}{_number(value)}\n"

    def _histogram(self, metric: Metric, labels: Labels, counted: Distribution, shown: Mapping[int, Exemplar]) -> str:
        form = self._prepared.get((metric.name, labels))
        if form is None:
            form = self._prepare(metric, labels, _form(metric, labels))
        total, values = 0.0, []
        for place, count in enumerate(counted.counts):
            total += count
            values.append(_number(total) + (_exemplar(shown[place]) if place in shown else ""))
        return form % (*values, _number(total), _number(counted.sum))

    def _prepare(self, metric: Metric, labels: Labels, text: str) -> str:
        if len(self._prepared) >= MOST_PREPARED:
            self._prepared.clear()
        self._prepared[metric.name, labels] = text
        return text


def _head(metric: Metric, *, open_metrics: bool) -> str:
    """OpenMetrics names the family of a counter without its suffix."""
    name = metric.name.removesuffix("_total") if open_metrics and metric.kind == "counter" else metric.name
    text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind}\n"


def braced(metric: Metric, labels: Labels, *more: tuple[str, str]) -> str:
    """The labels as the format writes them; nothing where there are none."""
    pairs = (*zip(metric.labels, labels, strict=True), *more)
    if not pairs:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _form(metric: Metric, labels: Labels) -> str:
    """The lines of a histogram's series, with places for the numbers."""
    lines = [
        metric.name + "_bucket" + braced(metric, labels, ("le", _bound(bound))).replace("%", "%%") + " %s"
        for bound in (*metric.bounds, float("inf"))
    ]
    own = braced(metric, labels).replace("%", "%%")
    return "\n".join((*lines, f"{metric.name}_count{own} %s", f"{metric.name}_sum{own} %s", ""))


def _bound(bound: float) -> str:
    """As both formats want it: OpenMetrics a number with a point."""
    return "+Inf" if bound == float("inf") else repr(float(bound))


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _exemplar(one: Exemplar) -> str:
    return f' # {{trace_id="{one.trace_id}"}} {one.value!r} {one.at:.3f}'


def _none(_metric: Metric, _labels: Labels) -> Mapping[int, Exemplar]:
    return {}
