"""Whether two answers say the same: the judge of shadow mode. It errs on the side of calling a hit false."""

import re
from typing import Final

from llm_service.cache.semantic.embedder import Embedder

LIKENESS: Final = 0.8
"""Below it two answers are taken to differ. Two tellings of one thing have 0.7 to 0.98, answers to other questions of
the same matter up to 0.9: no bound tells all of them apart, and this one calls rather too many false."""
MOST_CHARS: Final = 800
"""The embedder reads no more of an answer as a whole."""
_NUMBER: Final = r"\d+(?:[.,]\d+)*"
_VERDICTS: Final = r"\W*(yes|no|not|never|ja|nein|nicht|si|sí|oui|non)\b"
_DENIALS: Final = (
    r"(?i)\b(?:not|no|never|cannot|without|unsafe|nicht|kein\w*|nie|niemals|ohne|pas|jamais|nunca)\b|n['\u2019]t\b"
)


def same_answer(would_be: str, given: str, embedder: Embedder) -> bool:
    """Whether an answer that would have been given says what was given. Takes tens of milliseconds of a processor.

    Equal texts do. Others must begin with the same verdict (yes, no), deny alike (both or neither), hold no numbers
    that contradict, and be alike in their first 800 characters. It knows no facts: two fluent answers that differ in a
    single name may pass, and two good ones that chance has made unlike count as a false hit.
    """
    one, other = " ".join(would_be.split()), " ".join(given.split())
    if one == other:
        return True
    if _verdict(one) != _verdict(other) or _denies(one) != _denies(other) or _contradict(one, other):
        return False
    vectors = embedder.embed(one[:MOST_CHARS]), embedder.embed(other[:MOST_CHARS])
    if vectors[0] is None or vectors[1] is None:
        return False
    return float(vectors[0] @ vectors[1]) >= LIKENESS


def _verdict(text: str) -> str | None:
    found = re.match(_VERDICTS, text, re.IGNORECASE)
    return None if found is None else found[1].lower()


def _denies(text: str) -> bool:
    return re.search(_DENIALS, text) is not None


def _contradict(one: str, other: str) -> bool:
    """Whether each has a number that the other one has not: more detail is no contradiction."""
    first, second = set(re.findall(_NUMBER, one)), set(re.findall(_NUMBER, other))
    return bool(first - second) and bool(second - first)
