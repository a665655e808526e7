"""What is written: Markdown, and SVG that is XML."""

from xml.etree import ElementTree as ET

import pytest
from bench.measuring.plots import Scale, dots, lines, runs
from bench.measuring.tables import figure, table

SVG = "{http://www.w3.org/2000/svg}"


def test_a_table_has_its_first_column_to_the_left() -> None:
    assert table(["part", "µs"], [["a|b", 1.5], ["c", None]]) == (
        "| part | µs |\n|---|--:|\n| a\\|b | 1.5 |\n| c | - |"
    )


def test_figures_have_commas_between_thousands() -> None:
    assert (figure(12_345.67, 1), figure(None), figure(0.4)) == ("12,345.7", "-", "0")


def test_a_plot_has_a_dot_for_each_round_and_a_word_for_each_name() -> None:
    drawn = ET.fromstring(dots("CPU <µs>", "µs", {"nginx": [14, 15, 19], "a & b": [700.0], "none": []}))
    words = [element.text for element in drawn.iter(f"{SVG}text")]
    assert len([*drawn.iter(f"{SVG}circle")]) == 4
    assert {"CPU <µs>", "nginx", "a & b", "15", "700"} <= set(words)
    assert "none" not in words


def test_what_is_more_lies_to_the_right() -> None:
    scale = Scale.over([14, 7_000], begin=100, length=300)
    assert (scale.low, scale.high) == (1, 4)
    places = [scale.at(value) for value in (0, 10, 14, 100, 7_000, 10_000)]
    assert places == sorted(places)
    assert places[1] == 100
    assert places[3] == pytest.approx(200)
    assert places[-1] == 400


def test_a_round_without_a_figure_is_a_gap() -> None:
    assert runs([1.0, None, 3.0, 4.0, None]) == [[(0, 1.0)], [(2, 3.0), (3, 4.0)]]
    drawn = ET.fromstring(lines("p99", "µs", {"a": [1.0, None, 3.0, 4.0], "b": [None] * 4}))
    assert len([*drawn.iter(f"{SVG}polyline")]) == 2
    assert "b" not in {element.text for element in drawn.iter(f"{SVG}text")}


def test_nothing_can_be_plotted() -> None:
    for plot in (dots("t", "u", {}), lines("t", "u", {})):
        ET.fromstring(plot)
