"""The forms of a text, made character by character: a text that is cut anywhere has the same forms in pieces.

Nearly all of the work is left to C: a piece of one alphabet passes through a table of 256 characters, in others the
few characters that change are replaced, and only pieces of mixed writing are translated character by character.
"""

import codecs
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

from llm_service.filters.lookalikes import INVISIBLE, LOOKALIKES, MARKS

PIECE: Final = 1024
"""Characters that are looked at together: what is unusual in one place costs time there alone."""

_LONGEST_FORM: Final = 6  # of one character; some ligatures stand for whole sentences and would blow texts up
_BLOCK: Final = 128
_LATIN_END: Final = 0x0300
_SIGNS_BEGIN: Final = 0x2000
_FEW: Final = 10  # characters that are sooner replaced one after the other than all at once

# Large blocks of characters that are their own forms: ASCII that is seen, ideographs and their punctuation, kana
# without voicing marks, pictures. All others are looked up one by one.
_STABLE: Final = (
    "\t-\r -~\u3001-\u3029\u3041-\u304b\u306a-\u306f\u307e-\u3093\u30a1-\u30ab\u30ca-\u30cf\u30de-\u30f3\u30fb\u30fc"
    "\u3400-\u4dbf\u4e00-\u9fff\U0001f300-\U0001f6d7"
)
_VISIBLY_STABLE: Final = _STABLE + "\u00c0-\u0131\u0400-\u045f\u201c-\u201e\u3041-\u3096\u30a1-\u30fa"


class _Signs(NamedTuple):
    """Sorts of characters, to look for in a text."""

    unseen: re.Pattern[str]
    marks: re.Pattern[str]
    change_visibly: re.Pattern[str]
    change_folded: re.Pattern[str]
    controls: bytes


@lru_cache(maxsize=1)
def _signs() -> _Signs:
    """Made when a filter first looks at a text: processes without filters start sooner."""
    unseen = re.compile(f"[{INVISIBLE}]")
    return _Signs(
        unseen,
        re.compile(f"[{MARKS}]"),
        re.compile(f"[^{_VISIBLY_STABLE}]"),
        re.compile(f"[^{_STABLE}]"),
        bytes(code for code in range(128) if unseen.match(chr(code))),
    )


@lru_cache(maxsize=8192)
def visible_form(char: str) -> str:
    """What is seen of a character, in its plain form (NFKC); nothing, of one that is not seen."""
    unseen = _signs().unseen
    if unseen.match(char):
        return ""
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"  # half a character, from JSON: no library takes it
    form = unseen.sub("", unicodedata.normalize("NFKC", char))
    return form if len(form) <= _LONGEST_FORM else char


@lru_cache(maxsize=8192)
def folded_form(char: str) -> str:
    """What is left of a character where case, diacritics and the look of letters do not count."""
    if letter := LOOKALIKES.get(char):
        return letter
    if char.isspace() and not char.isascii():
        return " "
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if len(unicodedata.normalize("NFKC", char)) > _LONGEST_FORM:
        return char
    parts = _signs().marks.sub("", unicodedata.normalize("NFKD", visible_form(char)))
    return "".join(LOOKALIKES.get(part) or _without_case(part) for part in parts)


def _without_case(char: str) -> str:
    return "".join(LOOKALIKES.get(part) or part.lower() for part in char.casefold())


def plain(raw: str) -> bool:
    """Whether a text is of ASCII alone, and all of it is seen."""
    return raw.isascii() and len(raw.encode().translate(None, _signs().controls)) == len(raw)


class Form:
    """One form of a text, and where in the text as it came each place of it is.

    ``text``: the form. Places are looked for in pieces, and only where somebody asks.
    """

    __slots__ = ("_begins", "_change", "_maps", "_raw", "text")

    def __init__(self, raw: str, change: Callable[[str], str], pieces: Iterable[str]) -> None:
        made = list(pieces)
        self.text = made[0] if len(made) == 1 else "".join(made)
        self._raw = raw
        self._change = change
        self._begins = list(accumulate(map(len, made), initial=0))[:-1]
        self._maps: dict[int, list[int]] = {}

    def raw_span(self, begin: int, end: int) -> tuple[int, int]:
        """From the first character that has a part in a place, to after the last one."""
        first = self._raw_index(begin)
        return first, self._raw_index(end - 1) + 1 if end > begin else first

    def _raw_index(self, place: int) -> int:
        if place >= len(self.text):
            return len(self._raw)
        number = bisect_right(self._begins, place) - 1
        if (begins := self._maps.get(number)) is None:
            begins = self._maps[number] = self._map(number)
        return number * PIECE + bisect_right(begins, place - self._begins[number]) - 1

    def _map(self, number: int) -> list[int]:
        piece = self._raw[number * PIECE : (number + 1) * PIECE]
        return list(accumulate(map(len, map(self._change, piece)), initial=0))[:-1]


def visible(raw: str) -> Form:
    return Form(raw, visible_form, map(_visible_piece, _pieces(raw)))


def folded(raw: str) -> Form:
    return Form(raw, folded_form, map(_folded_piece, _pieces(raw)))


def _pieces(raw: str) -> list[str]:
    return [raw[begin : begin + PIECE] for begin in range(0, len(raw), PIECE)] or [""]


def _visible_piece(piece: str) -> str:
    if plain(piece):
        return piece
    if (spelt := _spelt(piece)) is not None:
        return spelt.alphabet.visible.of(spelt.codes)
    return _changed(piece, visible_form, _signs().change_visibly)


def _folded_piece(piece: str) -> str:
    if plain(piece):
        return piece.lower()
    if (spelt := _spelt(piece)) is not None:
        return spelt.alphabet.folded.of(spelt.codes)
    return _changed(piece, folded_form, _signs().change_folded).lower()


def _spelt(piece: str) -> "_Spelt | None":
    """The piece in the numbers of an alphabet's characters; None where no alphabet has them all."""
    latin, others = _alphabets()
    codes, stranger = latin.codes(piece)
    if not stranger:
        return _Spelt(latin, codes)
    other = others.get(ord(stranger) // _BLOCK)
    if other is None:
        return None
    codes, stranger = other.codes(piece)
    return None if stranger else _Spelt(other, codes)


def _changed(piece: str, change: Callable[[str], str], changeable: re.Pattern[str]) -> str:
    """The piece with all characters in their other form, but for capitals of ASCII."""
    forms = {char: form for char in set(changeable.findall(piece)) if (form := change(char)) != char}
    if len(forms) > _FEW:
        return piece.translate({ord(char): form for char, form in forms.items()})
    for char, form in forms.items():
        piece = piece.replace(char, form)
    return piece


class _Table(NamedTuple):
    """One form of an alphabet's characters, and the stand-ins for what is not one character."""

    letters: str
    others: tuple[tuple[str, str], ...]

    def of(self, codes: bytes) -> str:
        text, _ = codecs.charmap_decode(codes, "strict", self.letters)
        for stand_in, form in self.others:
            text = text.replace(stand_in, form)
        return text


class _Alphabet:
    """At most 256 characters that texts are often made of, and their forms."""

    __slots__ = ("_numbers", "folded", "visible")

    def __init__(self, letters: str) -> None:
        all_letters = "".join(map(chr, range(128))) + letters
        self._numbers = codecs.charmap_build(all_letters)
        self.visible = _table(all_letters, visible_form)
        self.folded = _table(all_letters, folded_form)

    def codes(self, piece: str) -> tuple[bytes, str]:
        """The piece in numbers of its characters; or the first character that is another."""
        try:
            return codecs.charmap_encode(piece, "strict", self._numbers)[0], ""
        except UnicodeEncodeError as error:
            return b"", piece[error.start]


class _Spelt(NamedTuple):
    alphabet: _Alphabet
    codes: bytes


def _table(letters: str, change: Callable[[str], str]) -> _Table:
    forms = list(map(change, letters))
    # Private characters stand in: they are in no alphabet, so they mean nothing else.
    stand_ins = {form: chr(0xE000 + place) for place, form in enumerate(sorted(set(forms))) if len(form) != 1}
    return _Table(
        "".join(stand_ins.get(form, form) for form in forms),
        tuple((stand_in, form) for form, stand_in in stand_ins.items()),
    )


@lru_cache(maxsize=1)
def _alphabets() -> tuple[_Alphabet, Mapping[int, _Alphabet]]:
    """That of Latin, and the others by the blocks of Unicode that their letters are in."""
    latin, *others = map(_Alphabet, _ALPHABETS)
    blocks = (
        {ord(letter) // _BLOCK for letter in letters if _LATIN_END <= ord(letter) < _SIGNS_BEGIN}
        for letters in _ALPHABETS[1:]
    )
    return latin, {block: other for other, own in zip(others, blocks, strict=True) for block in own}


def _range(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


# Dashes, quotation marks, bullet, ellipsis, euro, hard space, degree, number; with them, what most texts are made of.
_SIGNS: Final = "\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2022\u2026\u20ac\u00a0\u00ab\u00bb\u00b0\u2116"
_LATIN: Final = (
    "\u0102\u0103\u0104\u0105\u0106\u0107\u010c\u010d\u010f\u0110\u0111\u0118\u0119\u011a\u011b\u011e\u011f\u0130"
    "\u0131\u0141\u0142\u0143\u0144\u0148\u0150\u0151\u0152\u0153\u0158\u0159\u015a\u015b\u015e\u015f\u0160\u0161"
    "\u0165\u016e\u016f\u0170\u0171\u0179\u017a\u017b\u017c\u017d\u017e"
)
_ALPHABETS: Final = (
    _range(0xC0, 0xD6) + _range(0xD8, 0xF6) + _range(0xF8, 0xFF) + "\u00a1\u00a7\u00bf" + _LATIN + _SIGNS,
    _range(0x0400, 0x045F) + "\u0490\u0491" + _SIGNS,
    _range(0x0388, 0x038A) + "\u0386\u038c" + _range(0x038E, 0x03A1) + _range(0x03A3, 0x03CE) + _SIGNS,
    _range(0x0621, 0x063A)
    + _range(0x0640, 0x0669)
    + "\u060c\u061b\u061f\u067e\u0686\u0698\u06a9\u06af\u06cc\u200c"
    + _SIGNS,
    _range(0x0591, 0x05C7) + _range(0x05D0, 0x05EA) + _SIGNS,
    _range(0x0900, 0x096F) + "\u200c\u200d\u2026",
    _range(0x0E01, 0x0E3A) + _range(0x0E3F, 0x0E5B) + _SIGNS,
)
