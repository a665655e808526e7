"""Words before a number, which say what it is."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from llm_service.domain import fact_in_order

REACH: Final = 40
"""Characters before a number in which its word is looked for."""

_WORD: Final = re.compile(r"[^\W\d_]+")
# From here on scripts write vowels as marks (Devanagari) or no blanks between words (Thai, Han): parts are compared.
_FIRST_UNSPACED: Final = "\u0900"


@fact_in_order
class Before:
    """What stands before a number: its words, two neighbours as one, as they are and in small letters; and the text."""

    words: frozenset[str]
    text: str


@fact_in_order
class Words:
    """Words of which one must stand before: whole ones, and such as are part of a text without blanks."""

    whole: frozenset[str]
    parts: tuple[str, ...]

    def among(self, before: Before | None) -> bool:
        if before is None:
            return False
        return not self.whole.isdisjoint(before.words) or any(part in before.text for part in self.parts)


def words(listed: str) -> Words:
    """From a list with commas. One in capitals is meant in capitals: SIN is a number, and Spanish for without."""
    each = [word.strip() for word in listed.split(",") if word.strip()]
    return Words(
        frozenset(word for word in each if word < _FIRST_UNSPACED),
        tuple(word for word in each if word >= _FIRST_UNSPACED),
    )


def before(text: str, position: int) -> Before | None:
    """None where no word is near."""
    window = text[max(0, position - REACH) : position]
    found = _WORD.findall(window)
    if not found:
        return None
    small = [word.casefold() for word in found]
    return Before(frozenset((*found, *small, *(f"{one} {other}" for one, other in pairwise(small)))), window)


def last_word(text: str, position: int, *, passed: Callable[[str], bool]) -> str:
    """The nearest word before that is not ``passed`` over, in small letters; empty where none is near."""
    for word in reversed(_WORD.findall(text[max(0, position - REACH) : position])):
        small: str = word.casefold()
        if not passed(small):
            return small
    return ""
