"""Quantiles, and what several rounds come to."""

import pytest
from bench.measuring.summaries import quantile, rounds, spread
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("part", "figure"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.76, 4), (0.99, 4), (1.0, 4)])
def test_a_quantile_is_a_figure_that_was_measured(part: float, figure: float) -> None:
    assert quantile([1, 2, 3, 4], part) == figure


def test_nothing_has_quantiles_of_zero() -> None:
    assert spread([]) == {"count": 0, "mean": 0.0, "p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0}


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_quantiles_ascend(figures: list[float]) -> None:
    found = spread(figures)
    assert found["count"] == len(figures)
    assert found["p50"] <= found["p90"] <= found["p99"] <= found["max"] == round(max(figures), 1)


@pytest.mark.parametrize(
    ("figures", "median"), [([3.0], 3.0), ([3.0, 1.0], 2.0), ([9.0, 1.0, 2.0], 2.0), ([None, 4.0, None], 4.0)]
)
def test_the_median_stands_for_the_rounds_that_have_a_figure(figures: list[float | None], median: float) -> None:
    found = rounds(figures)
    assert found is not None
    assert found.median == median
    assert (found.least, found.most) == (min(f for f in figures if f), max(f for f in figures if f))


def test_rounds_without_figures_come_to_nothing() -> None:
    assert rounds([None, None]) is None
