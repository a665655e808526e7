"""Growth is told from noise, and plots over time are XML."""

import random
from xml.etree import ElementTree as ET

import pytest
from bench.measuring.timelines import Mark, Panel, Series, runs, step_for, timeline
from bench.measuring.trends import span_means, trend

SVG = "{http://www.w3.org/2000/svg}"
TIMES = [float(second) for second in range(600)]


def wandering(seed: int, *, slope: float = 0.0) -> list[float]:
    """Figures that stay near where they were, as memory does, about a line."""
    dice, away, found = random.Random(seed), 0.0, []
    for time in TIMES:
        away = 0.9 * away + dice.gauss(0, 1)
        found.append(100 + slope * time + away)
    return found


def test_the_line_goes_through_figures_that_lie_on_one() -> None:
    found = trend(TIMES, [3.0 + 0.5 * time for time in TIMES])
    assert found.slope == pytest.approx(0.5)
    assert found.begins == pytest.approx(3.0)
    assert (found.low, found.high) == (pytest.approx(0.5), pytest.approx(0.5))
    assert not found.is_flat


def test_what_does_not_grow_is_seldom_said_to_and_the_interval_holds_what_it_says() -> None:
    flat = sum(trend(TIMES, wandering(seed)).is_flat for seed in range(200))
    assert 180 <= flat <= 199
    holding = [trend(TIMES, wandering(seed, slope=0.02)) for seed in range(200)]
    assert sum(one.low <= 0.02 <= one.high for one in holding) >= 180


def test_what_grows_is_found_in_the_noise() -> None:
    assert not any(trend(TIMES, wandering(seed, slope=0.02)).is_flat for seed in range(20))


def test_a_span_without_a_figure_is_left_out() -> None:
    times = [0.0, 1.0, 2.0, 3.0, 40.0]
    assert span_means(times, times, spans=4) == [(1.5, 1.5), None, None, (40.0, 40.0)]
    with pytest.raises(ValueError, match="2 spans"):
        trend(times, times, spans=4)


def test_each_panel_has_its_lines_and_each_mark_its_number() -> None:
    points = [(0.0, 1.0), (1.0, 3.0), (9.0, 2.0)]
    panels = [
        Panel(title="a <b>", series=[Series(name="one", points=points, joins=2)], bounds=[2.5]),
        Panel(title="none", series=[Series(name="two", points=[])]),
    ]
    drawn = ET.fromstring(timeline("All", "minutes", panels, [Mark("killed & back", 2, 3)], until=10))
    words = {element.text for element in drawn.iter(f"{SVG}text")}
    assert {"a <b>", "none", "one", "two", "1  killed & back", "minutes"} <= words
    assert len([*drawn.iter(f"{SVG}polyline")]) == 2
    assert len([element for element in drawn.iter(f"{SVG}rect") if element.get("fill") == "#f2e6c9"]) == 2


def test_points_that_lie_apart_are_not_joined() -> None:
    assert runs([(0, 1), (1, 2), (5, 3)], 2) == [[(0, 1), (1, 2)], [(5, 3)]]


def test_steps_are_round() -> None:
    assert [step_for(least) for least in (0.03, 1, 1.1, 7, 40)] == pytest.approx([0.05, 1, 2, 10, 50])
