"""Settings that the service is to have and this version does not: named, so that a message can say so."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final

LATER: Final[frozenset[str]] = frozenset()
"""Paths as `shape.walk` gives them. One that becomes available is deleted here."""


def is_later(parts: Sequence[str]) -> bool:
    """Whether a path, whole or by its beginning, is one of `LATER`."""
    return any(_begins_with(parts, later.split(".")) for later in LATER)


def _begins_with(parts: Sequence[str], later: Sequence[str]) -> bool:
    return len(parts) >= len(later) and all(want in ("*", part) for part, want in zip(parts, later, strict=False))


def suggestion(name: str, known: Collection[str]) -> str:
    """The nearest known name as the end of a sentence, nothing when none is near."""
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that is most like this one, if one is like it at all."""
    return next(iter(get_close_matches(name, known, n=1)), None)
