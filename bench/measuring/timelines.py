"""Plots over time, one below the other: lines of figures, and what happened meanwhile."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bench.measuring.plots import COLOURS, WIDTH, circle, line, short, svg, text

LEFT: Final = 70
RIGHT: Final = 20
HEIGHT: Final = 150
HEAD: Final = 46
GAP: Final = 24
STEPS: Final = (1, 2, 5, 10)


class Mark(NamedTuple):
    """Something that happened from one moment to another."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Series:
    """Figures by their times; joined, where they do not lie further apart than ``joins``."""

    name: str
    points: Sequence[tuple[float, float]]
    joins: float = math.inf
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A plot. ``least``: what its scale holds in any case."""

    title: str
    series: Sequence[Series]
    least: float = 1.0
    bounds: Sequence[float] = field(default_factory=tuple)
    """Limits that are drawn across it."""


def timeline(title: str, unit: str, panels: Sequence[Panel], marks: Sequence[Mark], *, until: float) -> str:
    """All panels over the same time, from 0 on; marks go through all of them, with a number each."""
    begin = HEAD + 16 * ((len(marks) + 2) // 3)
    parts = [text(12, 22, title, size=15, weight="bold")]
    for number, mark in enumerate(marks, start=1):
        column, row = (number - 1) % 3, (number - 1) // 3
        parts.append(text(12 + column * 250, HEAD + 16 * row, f"{number}  {mark.name}", colour="#555"))
    for place, panel in enumerate(panels):
        top = begin + GAP + place * (HEIGHT + 2 * GAP)
        parts += drawn(panel, marks, top=top, until=until)
    bottom = begin + GAP + len(panels) * (HEIGHT + 2 * GAP)
    parts.append(text(WIDTH - RIGHT, bottom - 10, unit, anchor="end", colour="#555"))
    return svg(bottom + 6, parts)


def drawn(panel: Panel, marks: Sequence[Mark], *, top: float, until: float) -> list[str]:
    most = max([panel.least, *panel.bounds, *(value for one in panel.series for _, value in one.points)])
    step = step_for(most / 4)
    most = step * math.ceil(most / step)
    bottom, width = top + HEIGHT, WIDTH - LEFT - RIGHT

    def at(time: float, value: float) -> tuple[float, float]:
        return LEFT + width * time / until, bottom - HEIGHT * value / most

    parts = [text(LEFT, top - 8, panel.title, weight="bold")]
    for number, mark in enumerate(marks, start=1):
        x, _ = at(mark.begin, 0)
        wide = max(1.5, at(mark.end, 0)[0] - x)
        parts.append(f'<rect x="{x:.1f}" y="{top}" width="{wide:.1f}" height="{HEIGHT}" fill="#f2e6c9"/>')
        parts.append(text(x, top + 10, str(number), size=9, colour="#8a6d1a"))
    for count in range(round(most / step) + 1):
        _, y = at(0, count * step)
        parts += [
            line(LEFT, y, WIDTH - RIGHT, y, colour="#ddd"),
            text(LEFT - 6, y + 4, short(count * step), anchor="end"),
        ]
    for count in range(int(until / (tick := step_for(until / 8))) + 1):
        x, _ = at(count * tick, 0)
        parts.append(text(x, bottom + 14, short(count * tick), anchor="middle", colour="#555"))
    for bound in panel.bounds:
        _, y = at(0, bound)
        parts.append(line(LEFT, y, WIDTH - RIGHT, y, colour="#b00", width=1))
    beside = float(LEFT + 8 * len(panel.title) + 20)
    for number, one in enumerate(panel.series):
        colour = COLOURS[number % len(COLOURS)]
        dashes = ' stroke-dasharray="6 3"' if one.dashed else ""
        for run in runs(one.points, one.joins):
            places = [at(*point) for point in run]
            if len(places) == 1:  # a line of one point is none
                parts.append(circle(*places[0], colour))
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>')
        if one.name:
            parts.append(text(beside, top - 8, one.name, colour=colour))
            beside += 7.0 * len(one.name) + 16
    return parts


def runs(points: Sequence[tuple[float, float]], joins: float) -> list[list[tuple[float, float]]]:
    """The points in stretches whose neighbours are close enough."""
    found: list[list[tuple[float, float]]] = []
    for point in points:
        if found and point[0] - found[-1][-1][0] <= joins:
            found[-1].append(point)
        else:
            found.append([point])
    return found


def step_for(least: float) -> float:
    """A round step that is not below this."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(power * step for step in STEPS if power * step >= least * 0.999)
