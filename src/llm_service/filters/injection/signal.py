"""What speaks for an attempt to take a model over."""

from typing import Final, NamedTuple

from llm_service.filters.text import Text

LONGEST: Final = 512
"""Characters of a signal at most, where no row of blanks in it is long."""


class Signal(NamedTuple):
    """One thing that may be seen: of one ``kind`` the heaviest counts, of several kinds all do (noisy or).

    ``weight``: how likely a text is an attempt when nothing else is known, 0 to 1. ``pattern``: in RE2's syntax, over
    folded text (no capitals, no accents), of at most ``LONGEST`` characters: what it repeats without a bound is blanks.
    ``hint``: short and literal, without which there is no match; what it repeats in it it may repeat without a bound,
    which costs less than to count.
    """

    kind: str
    weight: float
    pattern: str
    hint: str


def folded(pattern: str) -> str:
    """The pattern with its words as they are in folded texts: it may hold no class whose name is a capital."""
    return Text(pattern).folded
