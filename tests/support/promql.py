"""Which series an expression of Prometheus asks for: as much of PromQL as our rules and dashboards have."""

import re
from dataclasses import dataclass

from llm_service.observability.metrics import catalog

_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SERIES = re.compile(r"(?<![\w.$])([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')
_WORDS = {"and", "or", "unless", "bool", "offset"}
_SUFFIXES = ("_bucket", "_sum", "_count")
OF_SCRAPES = {"job", "instance"}
"""Labels that Prometheus adds to whatever it reads."""


@dataclass(frozen=True)
class Series:
    """A metric as an expression names it, and the labels that it is chosen by."""

    name: str
    labels: frozenset[str]


@dataclass(frozen=True)
class Expression:
    series: tuple[Series, ...]
    grouped_by: frozenset[str]


def read(text: str) -> Expression:
    grouped = {label for group in _GROUPING.findall(text) for label in re.findall(r"\w+", group)}
    plain = _GROUPING.sub(" ", _RANGE.sub("", text))
    found = [
        Series(name, frozenset(_MATCHER.findall(chosen)))
        for name, chosen in _SERIES.findall(plain)
        if name not in _WORDS and not re.fullmatch(r"\d+[smhd]", name)
    ]
    return Expression(tuple(found), frozenset(grouped))


def labels_of(name: str, recorded: frozenset[str]) -> frozenset[str] | None:
    """What a series of this name is told apart by; None where there is no such metric."""
    if name in recorded:
        return frozenset({"job"})
    if name == "up":
        return frozenset(OF_SCRAPES)
    if (metric := catalog.ALL.get(name)) is not None:
        return None if metric.kind == "histogram" else frozenset({*metric.labels, *OF_SCRAPES})
    for suffix in _SUFFIXES:
        metric = catalog.ALL.get(name.removesuffix(suffix))
        if name.endswith(suffix) and metric is not None and metric.kind == "histogram":
            return frozenset({*metric.labels, *OF_SCRAPES, *({"le"} if suffix == "_bucket" else ())})
    return None


def mistakes(text: str, recorded: frozenset[str]) -> list[str]:
    """Metrics and labels of an expression that there are not."""
    expression, found = read(text), []
    known: set[str] = set()
    for series in expression.series:
        labels = labels_of(series.name, recorded)
        if labels is None:
            found.append(f"no metric {series.name}")
            continue
        known |= labels
        found += [f"{series.name} has no label {label}" for label in sorted(series.labels - labels)]
    return found + [f"nothing has the label {label}" for label in sorted(expression.grouped_by - known)]


def metric_of(name: str) -> str:
    """The metric that a series of this name belongs to: a histogram has several."""
    if name not in catalog.ALL:
        for suffix in _SUFFIXES:
            if name.endswith(suffix):
                return name.removesuffix(suffix)
    return name
