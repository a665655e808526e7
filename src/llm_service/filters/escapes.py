"""Texts that are JSON, as they read: each escaped character in its place, so that nothing moves."""

import re
from typing import Final

PAD: Final = "\u200b"
"""Stands for the rest of what one escaped character takes: nobody sees it, and detectors look through it."""
_NO_CHARACTER: Final = "\ufffd"
_HALF: Final = re.compile("[\ud800-\udfff]")
_HIGH: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPED: Final = re.compile(
    rf"{_HIGH}{_LOW}|{_HIGH}(?=[^\\]|\\[^u]|\\u(?:[^dD]|[dD][^c-fC-F]))|\\u(?![dD][89abAB])[0-9a-fA-F]{{4}}|\\[^u]",
    re.DOTALL,
)
_UNFINISHED: Final = re.compile(rf"\\(?:u[0-9a-fA-F]{{0,3}})?|{_HIGH}(?:\\(?:u[0-9a-fA-F]{{0,3}})?)?")
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def whole_characters(text: str) -> str:
    """The text without halves of surrogate pairs, which are no characters, and which no detector has to know."""
    return text if text.isascii() else _HALF.sub(_NO_CHARACTER, text)


def unescaped(raw: str) -> tuple[str, int]:
    """A text of the same length as it reads, and where an escape begins that is not complete; else its length."""
    parts: list[str] = []
    at = 0
    for escape in _ESCAPED.finditer(raw):
        parts += (raw[at : escape.start()], _character(escape[0]))
        at = escape.end()
    parts.append(raw[at:])
    begun = raw.find("\\", at)
    is_open = begun >= 0 and _UNFINISHED.fullmatch(raw, begun) is not None
    return "".join(parts), begun if is_open else len(raw)


def _character(escape: str) -> str:
    if escape[1] != "u":
        character = _SHORT.get(escape[1], escape[1])
    elif len(escape) == 12:
        high, low = int(escape[2:6], 16), int(escape[8:], 16)
        character = chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    else:
        character = whole_characters(chr(int(escape[-4:], 16)))
    return character + PAD * (len(escape) - 1)
