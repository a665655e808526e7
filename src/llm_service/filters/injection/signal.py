"""What speaks for an attempt to take a model over."""

from typing import NamedTuple

from llm_service.filters.text import Text


class Signal(NamedTuple):
    """One thing that may be seen: of one ``kind`` the heaviest counts, of several kinds all do (noisy or).

    ``weight``: how likely a text is an attempt when nothing else is known, 0 to 1. ``pattern``: in RE2's syntax, over
    folded text (no capitals, no accents). ``hint``: short and literal, without which there is no match.
    """

    kind: str
    weight: float
    pattern: str
    hint: str


def folded(pattern: str) -> str:
    """The pattern with its words as they are in folded texts: it may hold no class whose name is a capital."""
    return Text(pattern).folded
