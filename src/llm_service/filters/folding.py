"""The forms of a text, made character by character: a text that is cut anywhere has the same forms in pieces.

Nearly all of the work is left to C: in a text that is nearly all ASCII the few characters that change are replaced,
all at once; others are looked at in pieces, of which one in a single alphabet passes through a table of 256
characters, and only those of mixed writing are translated character by character.
"""

import codecs
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
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
_SMALL: Final = bytes(range(256)).lower()
_FEW: Final = 10  # characters that are sooner replaced one after the other than all at once
_RARE: Final = 8  # one byte of as many, and not more: then a text counts as nearly all ASCII

# Large blocks of characters that are their own forms: ASCII that is seen, ideographs and their punctuation, kana
# without voicing marks, pictures. All others are looked up one by one.
_STABLE: Final = (
    "\t-\r -~\u3001-\u3029\u3041-\u304b\u306a-\u306f\u307e-\u3093\u30a1-\u30ab\u30ca-\u30cf\u30de-\u30f3\u30fb\u30fc"
    "\u3400-\u4dbf\u4e00-\u9fff\U0001f300-\U0001f6d7"
)


class _Signs(NamedTuple):
    """Sorts of characters, to look for in a text."""

    unseen: re.Pattern[str]
    marks: re.Pattern[str]
    changeable: re.Pattern[str]
    controls: bytes
    usual: bytes


@lru_cache(maxsize=1)
def _signs() -> _Signs:
    """Made when a filter first looks at a text: processes without filters start sooner."""
    unseen = re.compile(f"[{INVISIBLE}]")
    return _Signs(
        unseen,
        re.compile(f"[{MARKS}]"),
        re.compile(f"[^{_STABLE}]"),
        bytes(code for code in range(128) if unseen.match(chr(code))),
        bytes(code for code in range(128) if not unseen.match(chr(code))),
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


def small_if_plain(raw: str) -> bytes | None:
    """A text that is of ASCII alone, and all of it seen, in small letters; None of any other."""
    if not raw.isascii():
        return None
    small = raw.encode().translate(_SMALL, _signs().controls)
    return small if len(small) == len(raw) else None


class Form:
    """One form of a text, and where in the text as it came each place of it is.

    ``text``: the form. ``index``: of a place in it the place in the text as it came; None where all are the same.
    """

    __slots__ = ("_index", "_raw", "text")

    def __init__(self, text: str, raw: str, index: Callable[[int], int] | None) -> None:
        self.text = text
        self._raw = raw
        self._index = index

    def raw_span(self, begin: int, end: int) -> tuple[int, int]:
        """From the first character that has a part in a place, to after the last one."""
        if self._index is None:
            return begin, end
        first = self._raw_index(begin, self._index)
        return first, self._raw_index(end - 1, self._index) + 1 if end > begin else first

    def _raw_index(self, place: int, index: Callable[[int], int]) -> int:
        return len(self._raw) if place >= len(self.text) else index(place)


class Forms:
    """Both forms of a text that is not plain. What they have in common is looked for once."""

    __slots__ = ("_pieces", "_raw", "_signs")

    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._signs = _rare_signs(raw)
        self._pieces: list[_Piece] | None = None

    def visible(self) -> Form:
        """As it is seen."""
        return self._few(visible_form) or self._pieced(visible_form, _Piece.visible)

    def folded(self) -> Form:
        """Without case, but for capitals of ASCII, without diacritics, and with look-alikes made Latin."""
        return self._few(folded_form) or self._pieced(folded_form, _Piece.folded)

    def hides(self) -> bool:
        """Whether there is a character in it that is not seen."""
        if self._signs is not None:
            return any(not visible_form(sign) for sign in self._signs)
        return any(piece.hides() for piece in self._all_pieces())

    def _few(self, change: Callable[[str], str]) -> Form | None:
        if self._signs is None:
            return None
        changes = _changes(self._signs, change)
        if len(changes) > _FEW:
            return None
        made = _replaced(self._raw, changes)
        return Form(made.text, self._raw, None if made.is_even else _Shifts(self._raw, changes))

    def _pieced(self, change: Callable[[str], str], form: "Callable[[_Piece], _Made]") -> Form:
        made = list(map(form, self._all_pieces()))
        if len(made) == 1 and made[0].is_even:
            return Form(made[0].text, self._raw, None)
        text = "".join([one.text for one in made])
        is_even = all(one.is_even for one in made)
        return Form(text, self._raw, None if is_even else _Places(self._raw, made, change))

    def _all_pieces(self) -> "Sequence[_Piece]":
        if self._pieces is None:
            raw = self._raw
            self._pieces = [_Piece(raw[begin : begin + PIECE]) for begin in range(0, len(raw), PIECE)]
        return self._pieces


class _Made(NamedTuple):
    """What became of a text. ``is_even``: a character of each character."""

    text: str
    is_even: bool


class _Shifts:
    """Where places were in a text in which a few characters became other than one."""

    __slots__ = ("_begins", "_changes", "_ends", "_raw")

    def __init__(self, raw: str, changes: Mapping[str, str]) -> None:
        self._raw = raw
        self._changes = changes
        self._begins: list[int] | None = None
        self._ends: list[tuple[int, int]] = []

    def __call__(self, place: int) -> int:
        if self._begins is None:
            self._begins = self._seek()
        number = bisect_right(self._begins, place) - 1
        if number < 0:
            return place
        end, raw_end = self._ends[number]
        return raw_end + place - end if place >= end else raw_end - 1

    def _seek(self) -> list[int]:
        odd = {char: len(form) for char, form in self._changes.items() if len(form) != 1}
        begins, more = [], 0
        for place, length in sorted((place, odd[char]) for char in odd for place in _all_places(self._raw, char)):
            begins.append(place + more)
            self._ends.append((place + more + length, place + 1))
            more += length - 1
        return begins


class _Places:
    """Where places were in a text that was changed piece by piece: looked for in those that somebody asks about."""

    __slots__ = ("_begins", "_change", "_made", "_maps", "_raw")

    def __init__(self, raw: str, made: "Sequence[_Made]", change: Callable[[str], str]) -> None:
        self._raw = raw
        self._change = change
        self._made = made
        self._begins = list(accumulate((len(one.text) for one in made), initial=0))[:-1]
        self._maps: dict[int, list[int]] = {}

    def __call__(self, place: int) -> int:
        number = bisect_right(self._begins, place) - 1
        within, begin = place - self._begins[number], number * PIECE
        if self._made[number].is_even:
            return begin + within
        if (begins := self._maps.get(number)) is None:
            forms = map(self._change, self._raw[begin : begin + PIECE])
            begins = self._maps[number] = list(accumulate(map(len, forms), initial=0))[:-1]
        return begin + bisect_right(begins, within) - 1


class _Piece:
    """A part of a text, looked at once for both its forms."""

    __slots__ = ("_raw", "_signs", "_spelt")

    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._signs: Set[str] = frozenset()
        self._spelt: _Spelt | None = None
        if small_if_plain(raw) is None:
            self._spelt = _spelt(raw)
            if self._spelt is None:
                self._signs = frozenset(_signs().changeable.findall(raw))

    def visible(self) -> _Made:
        if self._spelt is not None:
            return self._spelt.alphabet.visible.of(self._spelt.codes, self._raw)
        return _replaced(self._raw, _changes(self._signs, visible_form))

    def folded(self) -> _Made:
        if self._spelt is not None:
            return self._spelt.alphabet.folded.of(self._spelt.codes, self._raw)
        return _replaced(self._raw, _changes(self._signs, folded_form))

    def hides(self) -> bool:
        if self._spelt is not None:
            return self._spelt.alphabet.visible.hides(self._spelt.codes)
        return any(not visible_form(sign) for sign in self._signs)


def _rare_signs(raw: str) -> Set[str] | None:
    """The characters of a text that are not of ASCII, or not seen; None where they are many, or half characters."""
    try:
        data = raw.encode()
    except UnicodeEncodeError:
        return None
    if (len(data) - len(raw)) * _RARE > len(data):
        return None
    others = data.translate(None, _signs().usual)
    return None if len(others) * _RARE > len(data) else frozenset(others.decode())


def _changes(signs: Set[str], change: Callable[[str], str]) -> Mapping[str, str]:
    return {char: form for char in signs if (form := change(char)) != char}


def _replaced(text: str, changes: Mapping[str, str]) -> _Made:
    if len(changes) > _FEW:
        made = text.translate({ord(char): form for char, form in changes.items()})
    else:
        made = text
        for char, form in changes.items():
            made = made.replace(char, form)
    return _Made(made, all(len(form) == 1 for form in changes.values()))


def _all_places(text: str, char: str) -> Iterator[int]:
    place = text.find(char)
    while place >= 0:
        yield place
        place = text.find(char, place + 1)


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


class _Table:
    """One form of an alphabet's characters."""

    __slots__ = ("_even", "_forms", "_letters", "_same", "_seen")

    def __init__(self, letters: str, change: Callable[[str], str]) -> None:
        self._forms = list(map(change, letters))
        # Private characters stand in for what is not one character: they are in no alphabet, and mean nothing else.
        self._letters = "".join(
            form if len(form) == 1 else chr(0xE000 + place) for place, form in enumerate(self._forms)
        )
        self._even = bytes(place for place, form in enumerate(self._forms) if len(form) == 1)
        self._same = bytes(place for place, form in enumerate(self._forms) if form == letters[place])
        self._seen = bytes(place for place, form in enumerate(self._forms) if form)

    def of(self, codes: bytes, piece: str) -> _Made:
        """The form of a piece, given in the numbers of its characters too."""
        if not codes.translate(None, self._same):
            return _Made(piece, is_even=True)
        text, _ = codecs.charmap_decode(codes, "strict", self._letters)
        odd = codes.translate(None, self._even)
        for code in set(odd):
            text = text.replace(self._letters[code], self._forms[code])
        return _Made(text, is_even=not odd)

    def hides(self, codes: bytes) -> bool:
        return bool(codes.translate(None, self._seen))


class _Alphabet:
    """At most 256 characters that texts are often made of, and their forms."""

    __slots__ = ("_numbers", "folded", "visible")

    def __init__(self, letters: str) -> None:
        all_letters = "".join(map(chr, range(128))) + letters
        self._numbers = codecs.charmap_build(all_letters)
        self.visible = _Table(all_letters, visible_form)
        self.folded = _Table(all_letters, folded_form)

    def codes(self, piece: str) -> tuple[bytes, str]:
        """The piece in numbers of its characters; or the first character that is another."""
        try:
            return codecs.charmap_encode(piece, "strict", self._numbers)[0], ""
        except UnicodeEncodeError as error:
            return b"", piece[error.start]


class _Spelt(NamedTuple):
    alphabet: _Alphabet
    codes: bytes


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
