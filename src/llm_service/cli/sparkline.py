"""A row of small bars for a terminal."""

from collections.abc import Sequence
from typing import Final

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "._-=+*%#"
"""For terminals that know no other characters than ASCII's."""


def sparkline(values: Sequence[float | None], *, width: int, bars: str = BARS) -> str:
    """The last values as bars, the largest as the highest one; what is unknown stays blank. Always ``width`` wide."""
    shown = values[-width:] if width > 0 else ()
    most = max((value for value in shown if value is not None), default=0.0)
    return "".join(_bar(value, most, bars) for value in shown).rjust(width)


def _bar(value: float | None, most: float, bars: str) -> str:
    if value is None:
        return " "
    if most <= 0 or value <= 0:
        return bars[0]
    return bars[min(int(value / most * len(bars)), len(bars) - 1)]
