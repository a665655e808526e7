"""Summaries of many figures: quantiles, medians, and how far the rounds of a measurement lie apart."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple


def quantile(ordered: Sequence[float], part: float) -> float:
    """Of figures in ascending order the one below which this part of them lies (nearest rank); 0 for none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def spread(figures: Iterable[float]) -> dict[str, float]:
    """Count, mean, quantiles and the most, as results of a load have them."""
    ordered = sorted(figures)
    mean = sum(ordered) / len(ordered) if ordered else 0.0
    at = {name: quantile(ordered, part) for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))}
    return {"count": len(ordered), "mean": round(mean, 1), **{name: round(value, 1) for name, value in at.items()}}


class Rounds(NamedTuple):
    """What several rounds of one measurement came to."""

    median: float
    least: float
    most: float


def rounds(figures: Iterable[float | None]) -> Rounds | None:
    """None where no round has a figure. The median of two is their mean."""
    ordered = sorted(figure for figure in figures if figure is not None)
    if not ordered:
        return None
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Rounds(median=median, least=ordered[0], most=ordered[-1])
