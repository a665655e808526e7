"""What the beginnings of a pattern's matches look like, as a pattern of its own.

RE2 does not tell whether the end of a text could be the beginning of a match. A pattern that matches all beginnings,
held to the end of the text, does. ``ab+c`` becomes ``(?:a(?:b*b?|b+(?:c)?)?)?``, more or less.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

DEEPEST_GROUPS: Final = 30

_CLASS: Final = re.compile(r"\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:[pP]\{\^?\w+\}|[pP]\w|x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|[^QECpPx0-9])", re.DOTALL
)
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??")
_OPENING: Final = re.compile(r"\((?:\?P?<\w+>|\?[imsU-]*:|(?!\?))")
_FLAGS: Final = re.compile(r"\(\?[imsU-]+\)")
_NO_WIDTH: Final = frozenset((r"\b", r"\B", r"\A", r"\z", "^", "$"))


class _Unknown(Exception):
    """There is something in a pattern that this module does not understand."""


class _Part(NamedTuple):
    """A piece of a pattern as it stands there, and what its beginnings look like."""

    whole: str
    beginning: str


def beginnings(pattern: str) -> str | None:
    """A pattern of RE2 for all beginnings of what one matches, from nothing to whole matches; None: not known."""
    try:
        return _Reader(pattern).read()
    except _Unknown:
        return None


class _Reader:
    """Reads one pattern, from left to right, that RE2 has accepted before."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0

    def read(self) -> str:
        choice = self._choice(0)
        if self._place < len(self._pattern):
            raise _Unknown
        return choice.beginning

    def _choice(self, depth: int) -> _Part:
        """Alternatives, up to the end of their group. Settings such as (?i) are in force from one to the next."""
        if depth > DEEPEST_GROUPS:
            raise _Unknown
        settings, wholes, starts = "", [], []
        while True:
            parts = list(self._parts(depth))
            wholes.append("".join(part.whole for part in parts))
            starts.append(f"{settings}{_row(parts)}")
            settings += "".join(part.whole for part in parts if _FLAGS.fullmatch(part.whole))
            if not self._take("|"):
                return _Part("|".join(wholes), "|".join(starts))

    def _parts(self, depth: int) -> Iterator[_Part]:
        while self._place < len(self._pattern) and self._pattern[self._place] not in "|)":
            part = self._atom(depth)
            while (quantifier := self._match(_QUANTIFIER)) is not None:
                part = _repeated(part, quantifier)
            yield part

    def _atom(self, depth: int) -> _Part:
        if flags := self._match(_FLAGS):
            return _Part(flags.group(), "")
        if self._pattern.startswith("(", self._place):
            return self._group(depth)
        found = self._match(_CLASS) or self._match(_ESCAPE)
        text = found.group() if found else self._character()
        return _Part(text, "" if text in _NO_WIDTH else f"(?:{text})?")

    def _group(self, depth: int) -> _Part:
        opening = self._match(_OPENING)
        if opening is None:
            raise _Unknown
        inner = self._choice(depth + 1)
        if not self._take(")"):
            raise _Unknown
        # Names would occur twice in what is made of the parts, which RE2 does not take.
        settings = opening.group() if opening.group().endswith(":") else "(?:"
        return _Part(f"{settings}{inner.whole})", f"{settings}{inner.beginning})")

    def _character(self) -> str:
        char = self._pattern[self._place]
        if char in "\\[":
            raise _Unknown
        self._place += 1
        return char

    def _match(self, what: re.Pattern[str]) -> re.Match[str] | None:
        found = what.match(self._pattern, self._place)
        if found is not None:
            self._place = found.end()
        return found

    def _take(self, char: str) -> bool:
        found = self._pattern.startswith(char, self._place)
        self._place += found
        return found


def _row(parts: list[_Part]) -> str:
    """Beginnings of parts that follow one another: of the first one, or all of it and a beginning of the others."""
    row = ""
    for part in reversed(parts):
        row = f"(?:{part.whole}{row}|{part.beginning})"
    return row


def _repeated(part: _Part, quantifier: re.Match[str]) -> _Part:
    whole = part.whole + quantifier.group()
    sign, (least, comma, most) = quantifier.group()[0], quantifier.groups()
    if sign == "?":
        return _Part(whole, part.beginning)
    if sign in "*+" or (comma and not most):
        return _Part(whole, f"(?:{part.whole})*{part.beginning}")
    times = int(most or least)
    return _Part(whole, f"(?:{part.whole}){{0,{times - 1}}}{part.beginning}" if times else "")
