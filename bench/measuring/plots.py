"""Plots as SVG: no library, and a text that can be looked at in any browser."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 760
LEFT: Final = 170
RIGHT: Final = 40
ROW: Final = 26
TOP: Final = 56
COLOURS: Final = ("#1b6ca8", "#d1495b", "#3a7d44", "#8d5a97", "#c77f1a", "#4a4e69", "#0f8b8d", "#a44a3f", "#6b7fd7")


class Scale(NamedTuple):
    """A logarithmic scale from one power of ten to another, over so many pixels."""

    low: int
    high: int
    begin: float
    length: float

    @classmethod
    def over(cls, values: Sequence[float], *, begin: float, length: float) -> "Scale":
        """Which holds all values; those of 0 and less have no place on it and are put at its beginning."""
        positive = [value for value in values if value > 0] or [1.0]
        low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
        return cls(low, max(high, low + 1), begin, length)

    def at(self, value: float) -> float:
        place = (math.log10(value) - self.low) / (self.high - self.low) if value > 0 else 0.0
        return self.begin + self.length * min(1.0, max(0.0, place))

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def dots(title: str, unit: str, rows: Mapping[str, Sequence[float]]) -> str:
    """A row for each name: a dot for each round, a stroke at the median, whose figure is written beside it."""
    shown = {name: sorted(values) for name, values in rows.items() if values}
    scale = Scale.over(
        [value for values in shown.values() for value in values], begin=LEFT, length=WIDTH - LEFT - RIGHT - 60
    )
    height = TOP + ROW * len(shown) + 30
    parts = [text(12, 22, title, size=15, weight="bold"), text(12, 40, f"{unit}; logarithmic", colour="#555")]
    for tick in scale.ticks():
        at = scale.at(tick)
        parts.append(line(at, TOP, at, height - 26, colour="#ddd"))
        parts.append(text(at, height - 10, short(tick), anchor="middle", colour="#555"))
    for number, (name, values) in enumerate(shown.items()):
        y = TOP + ROW * number + ROW / 2
        colour = COLOURS[number % len(COLOURS)]
        middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
        parts.append(text(LEFT - 10, y + 4, name, anchor="end"))
        parts += [circle(scale.at(value), y, colour) for value in values]
        parts.append(line(scale.at(middle), y - 9, scale.at(middle), y + 9, colour=colour, width=3))
        parts.append(text(scale.at(values[-1]) + 10, y + 4, short(middle), colour=colour))
    return svg(height, parts)


def lines(title: str, unit: str, series: Mapping[str, Sequence[float | None]]) -> str:
    """A line for each name over the rounds; a round without a figure leaves a gap."""
    shown = {name: values for name, values in series.items() if any(value is not None for value in values)}
    known = [value for values in shown.values() for value in values if value is not None]
    bottom, height = TOP + 260, TOP + 260 + 30 + 18 * len(shown)
    scale = Scale.over(known, begin=0, length=260)
    rounds = max((len(values) for values in shown.values()), default=1)
    step = (WIDTH - LEFT - RIGHT) / max(1, rounds - 1)
    parts = [text(12, 22, title, size=15, weight="bold"), text(12, 40, f"{unit}, by round; logarithmic", colour="#555")]
    for tick in scale.ticks():
        y = bottom - scale.at(tick)
        parts += [line(LEFT, y, WIDTH - RIGHT, y, colour="#ddd"), text(LEFT - 8, y + 4, short(tick), anchor="end")]
    for number, (name, values) in enumerate(shown.items()):
        colour = COLOURS[number % len(COLOURS)]
        for run in runs(values):
            points = [(LEFT + step * place, bottom - scale.at(value)) for place, value in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [circle(x, y, colour) for x, y in points]
        y = bottom + 26 + 18 * number
        parts += [circle(LEFT, y - 4, colour), text(LEFT + 12, y, name)]
    return svg(height, parts)


def runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches without gaps, each value with its place."""
    found: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is not None:
            found[-1].append((place, value))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= 1 else f"{value:.3g}"


def svg(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *parts, "</svg>"]) + "\n"


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    anchor: str = "start",
    colour: str = "#222",
    weight: str = "normal",
) -> str:
    look = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, *, colour: str, width: float = 1) -> str:
    places = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {places} stroke="{colour}" stroke-width="{width:g}"/>'


def circle(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}" fill-opacity="0.6"/>'
