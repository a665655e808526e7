"""A text that matches a regular expression, for `pattern` in JSON schemas: the common part of the syntax, by hand."""

from __future__ import annotations

import re
from typing import Final

from llm_service.sandbox.content.dice import Dice

_CLASSES: Final = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyz",
    "s": " ",
    "D": "abcxyz",
    "W": "-",
    "S": "abcxyz",
}
_ANY: Final = "abcdefghijklmnopqrstuvwxyz"
_UNBOUNDED: Final = 3
_MAX_ATOMS: Final = 512
_GIVEN_UP: Final = "sandbox"


def matching(pattern: str, dice: Dice) -> str:
    """A text that the pattern finds a match in; a plain word where the pattern is beyond this generator."""
    try:
        text = _Reader(pattern, dice).alternatives()
        return text if re.search(pattern, text) else _GIVEN_UP
    except (IndexError, ValueError, RecursionError, re.error):
        return _GIVEN_UP


class _Reader:
    """Recursive descent over the pattern, writing a match while it reads."""

    def __init__(self, pattern: str, dice: Dice) -> None:
        self._pattern = pattern
        self._at = 0
        self._dice = dice
        self._atoms_left = _MAX_ATOMS

    def alternatives(self) -> str:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        return self._dice.pick(options)

    def _sequence(self) -> str:
        made: list[str] = []
        while (sign := self._peek()) and sign not in "|)":
            if sign in "^$":
                self._at += 1
                continue
            start = self._at
            atom = self._atom()
            low, high = self._repeats()
            after = self._at
            count = self._dice.between(low, high)
            made.append(atom if count else "")
            for _ in range(count - 1):
                self._at = start
                made.append(self._atom())
            self._at = after
        return "".join(made)

    def _atom(self) -> str:
        self._atoms_left -= 1
        if self._atoms_left < 0:
            raise ValueError("the pattern wants too long a text")
        sign = self._next()
        if sign == "(":
            if self._pattern.startswith("?:", self._at):
                self._at += 2
            elif self._peek() == "?":
                raise ValueError("look-around and named groups are not supported")
            inside = self.alternatives()
            self._next()
            return inside
        if sign == "[":
            return self._dice.pick(self._set())
        if sign == ".":
            return self._dice.pick(_ANY)
        if sign == "\\":
            escaped = self._next()
            return self._dice.pick(_CLASSES[escaped]) if escaped in _CLASSES else _control(escaped)
        return sign

    def _set(self) -> str:
        negated = self._peek() == "^"
        self._at += negated
        members = ""
        while (sign := self._next()) != "]" or not members:
            if sign == "\\":
                escaped = self._next()
                members += _CLASSES.get(escaped, _control(escaped))
            elif self._peek() == "-" and self._pattern[self._at + 1] != "]":
                self._at += 1
                members += "".join(map(chr, range(ord(sign), ord(self._next()) + 1)))
            else:
                members += sign
        if negated:
            return "".join(letter for letter in _ANY + "0123456789" if letter not in members)
        return members

    def _repeats(self) -> tuple[int, int]:
        sign = self._peek()
        if sign and sign in "*+?":
            self._at += 1
            bounds = {"*": (0, _UNBOUNDED), "+": (1, _UNBOUNDED), "?": (0, 1)}[sign]
        elif sign == "{":
            closing = self._pattern.index("}", self._at)
            low, comma, high = self._pattern[self._at + 1 : closing].partition(",")
            self._at = closing + 1
            bounds = (int(low or 0), int(high) if high else int(low or 0) + (_UNBOUNDED if comma else 0))
        else:
            return 1, 1
        if self._peek() == "?":
            self._at += 1
        return bounds

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        sign = self._pattern[self._at]
        self._at += 1
        return sign


def _control(escaped: str) -> str:
    if escaped in "bBAZ" or escaped.isdigit():
        raise ValueError("boundaries and back references are not supported")
    return {"n": "\n", "t": "\t", "r": "\r"}.get(escaped, escaped)
