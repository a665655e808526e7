"""A plain chart of lines as SVG, which every browser shows; nothing is needed to draw it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 760
HEIGHT: Final = 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 50, 50
COLOURS: Final = ("#1b6ca8", "#d1495b", "#3c8d5a", "#8a5fb4", "#c9822b", "#4f5d75")
DASHES: Final = ("", "6 3", "2 3")
STEPS: Final = 5


def line_chart(title: str, along: Sequence[str], lines: Mapping[str, Sequence[float | None]]) -> str:
    """A chart of shares from 0 to 1, upwards, at the places named ``along``; ``None`` leaves a place out."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(LEFT, TOP / 2 + 5, title, size=16),
        *_grid(),
        *(
            _text(_x(place, len(along)), HEIGHT - BOTTOM + 22, text, anchor="middle")
            for place, text in enumerate(along)
        ),
    ]
    for number, (name, values) in enumerate(lines.items()):
        parts += _line(number, name, values)
    return "\n".join([*parts, "</svg>", ""])


def _grid() -> list[str]:
    """Lines across at every fifth, with their shares in percent."""
    parts = []
    for step in range(STEPS + 1):
        share = step / STEPS
        parts.append(
            f'<line x1="{LEFT}" y1="{_y(share):.1f}" x2="{WIDTH - RIGHT}" y2="{_y(share):.1f}" stroke="#ddd"/>'
        )
        parts.append(_text(LEFT - 10, _y(share) + 4, f"{share:.0%}", anchor="end"))
    return parts


def _line(number: int, name: str, values: Sequence[float | None]) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    places = [(_x(place, len(values)), _y(value)) for place, value in enumerate(values) if value is not None]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    legend_y = TOP + 10 + number * 20
    legend_x = WIDTH - RIGHT + 15
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places),
        f'<line x1="{legend_x}" y1="{legend_y}" x2="{legend_x + 22}" y2="{legend_y}" stroke="{colour}" '
        f'stroke-width="2" stroke-dasharray="{dash}"/>',
        _text(legend_x + 28, legend_y + 4, name),
    ]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#333">{escape(text)}</text>'


def _x(place: int, count: int) -> float:
    width = WIDTH - LEFT - RIGHT
    return LEFT + width * (place + 0.5) / count


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
