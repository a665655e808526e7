"""What can be found: its writing as a pattern, and what decides whether a place that looks like it is one."""

from collections.abc import Callable
from typing import Final

from llm_service.domain import fact

BEFORE: Final = 64
"""Characters before a place that count at most."""

Span = tuple[int, int]
Check = Callable[[str, int, int], Span | None]
"""Of a text and a place in it that the pattern matches: the place of the find, or None where there is none.

It looks at no more than two characters behind the place, so that a growing text is judged for good soon.
"""


@fact
class Kind:
    """One way of writing of one entity. ``pattern``: what :mod:`beginnings` can read, in RE2's syntax.

    ``within``: whether a find may begin within a place that was refused. Where its check wants nothing joined before,
    it cannot: then the search goes on behind the place. ``told``: what stands before a find, within ``BEFORE``
    characters, up to a digit; in RE2's syntax, where all that is not ASCII is ``?``.
    """

    label: str
    pattern: str
    check: Check
    within: bool = False
    told: str = ""


def begins_row(text: str, begin: int) -> bool:
    """Whether what is joined by up to three blanks and marks before is no digit."""
    return not text[max(0, begin - 4) : begin].rstrip(" .()/-")[-1:].isdigit()


def stands_alone(text: str, begin: int, end: int, *, joints: str = "-./") -> bool:
    """Whether no further digit is joined to the place: it is then no part of a longer number, date or fraction.

    A comma joins after a zero alone: else it stands between the fields of a row.
    """
    if begin > 1 and text[begin - 1] in joints and text[begin - 2].isdigit():
        return False
    if text[begin - 2 : begin] == "0," and begin > 1:
        return False
    return not (end + 1 < len(text) and text[end] in joints and text[end + 1].isdigit())
