"""A text as numbers are looked for in it: digits of all scripts as ASCII's, dashes before digits as hyphens."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

# The zeros of scripts whose digits are in daily use (Unicode 17, decimal numbers); one to nine follow each.
_ZEROS: Final = """\u0660 \u06f0 \u07c0 \u0966 \u09e6 \u0a66 \u0ae6 \u0b66 \u0be6 \u0c66 \u0ce6 \u0d66 \u0de6 \u0e50
    \u0ed0 \u0f20 \u1040 \u1090 \u17e0 \u1810 \u1946 \u19d0 \u1a80 \u1b50 \u1bb0 \uff10""".split()
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
_BLANKS: Final = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_PLAIN: Final[Mapping[str, str]] = MappingProxyType(
    {chr(ord(zero) + digit): str(digit) for zero in _ZEROS for digit in range(10)}
    | dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_BLANKS, " ")
)
_DIGITS: Final = "".join(f"{zero}-{chr(ord(zero) + 9)}" for zero in _ZEROS)
_ASCII: Final = bytes(range(128))
_BEFORE_DIGITS: Final = MappingProxyType({dash: re.compile(rf"{dash}(?=\d)") for dash in _DASHES})
_OTHERS: Final = re.compile(rf"[{_DIGITS}{_BLANKS}]|[{_DASHES}](?=\d)")


@lru_cache(maxsize=1)
def _others() -> Any:
    """What finds the first of these in UTF-8. Made when it is first needed."""
    import re2

    return re2.compile(f"[{_DIGITS}{_BLANKS}]|[{_DASHES}][0-9]".encode())


def plain(text: str, data: bytes) -> str:
    """The text, which ``data`` is in UTF-8, with other characters in these places, and as long as it was."""
    if data.isascii():
        return text
    others = data.translate(None, _ASCII)
    if 8 * len(others) > len(text):
        if _others().search(data) is None:
            return text
        return _OTHERS.sub(lambda found: _PLAIN[found.group()], text)
    for char in _PLAIN.keys() & set(others.decode()):  # a few quotation marks and dashes: most texts have no others
        dash = _BEFORE_DIGITS.get(char)
        text = text.replace(char, _PLAIN[char]) if dash is None else dash.sub("-", text)
    return text


def plain_end(text: str) -> str:
    """The same of the end of a growing text: a dash there may come to stand before a digit."""
    if text.isascii():
        return text
    made = plain(text, text.encode())
    return f"{made[:-1]}-" if made[-1:] and made[-1] in _DASHES else made
