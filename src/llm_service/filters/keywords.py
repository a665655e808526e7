"""Words and phrases that are looked for all at once, in whatever spelling."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, product
from typing import Final

from ahocorasick_rs import BytesAhoCorasick

from llm_service.filters.detector import Match
from llm_service.filters.options import FilterOptions
from llm_service.filters.text import LONGEST_HOLD, Text

MOST_WORDS: Final = 100_000
LONGEST_WORD: Final = 200
DEEPEST_NEST: Final = 8
"""Words that may all end in the same place of a text, such as "ass", "badass": each of them costs time there."""

MANY_PLACES: Final = 10_000
"""Places in one part of a text from which on those that overlap or touch are told as one."""

_WINDOW: Final = 32_768  # bytes that are looked through at once: matches of more would not fit into memory
_HEAD: Final = 3

# Scripts that are written without blanks between words, by the names of their letters.
_UNDIVIDED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df"  # Thai, Lao, Burmese, Khmer, Tai
    "\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaa7f"  # Lanna, Balinese, Javanese
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han, Kana, Bopomofo
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff]"
)
# Korean words stand alone, but particles follow them without a blank. Syllables are in parts when they are folded.
_HANGUL: Final = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
# Parts of what is one character to a reader: voicing marks of Kana, vowels and finals of a syllable of Hangul.
_PART: Final = re.compile("[\u3099\u309a\u1160-\u11ff\ud7b0-\ud7ff]")
_MAY_GROW: Final = re.compile("[\u3041-\u30ff\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")

_BREAKS: Final[Mapping[int, int]] = str.maketrans("\n\r\t\v\f", " " * 5)
_TO_BLANKS: Final = bytes.maketrans(b"\n\r\t\v\f", b" " * 5)
_BLANKS: Final = re.compile(r"\A +| {2,}")
_BLANK: Final = re.compile(" ")
_ROWS: Final = re.compile(" {2,}")


def keyword_detector(options: FilterOptions, words: Sequence[str]) -> "Keywords":
    """What finds these words, those of the settings and of a file together.

    Raises ``ValueError``, with a sentence that says what to do, where a word cannot be looked for.
    """
    if not words:
        raise ValueError("give words to look for, in words or words_file")
    if len(words) > MOST_WORDS:
        raise ValueError(f"give at most {MOST_WORDS} words: these are {len(words)}")
    return Keywords(_spelt(words, "words"), allowed=_spelt(options.allow, "allow"), whole=options.whole_words)


class Keywords:
    """Finds words in a text's folded form, in time linear in the text, however many words there are.

    Phrases are looked for with one blank between their words, and so are their beginnings with two blanks behind them:
    where there is one of these, and there alone, all is looked for once more with each row of blanks as one.
    """

    def __init__(self, words: frozenset[str], *, allowed: frozenset[str], whole: bool) -> None:
        self._sought = sorted(words | allowed)
        self._lengths = list(map(len, self._sought))
        self._allowed = [word in allowed for word in self._sought]
        self._any_allowed = bool(allowed)
        self._whole = whole
        self._phrases = any(" " in word for word in self._sought)
        self._longest = max(self._lengths)
        self._heads = frozenset(word[:_HEAD] for word in self._sought)
        data = [word.encode() for word in (*self._sought, *sorted(_parted(self._sought)))]
        self._longest_bytes = max(map(len, data))
        self._search = BytesAhoCorasick(data)
        self._refuse_nests()

    def find(self, text: Text) -> Sequence[Match]:
        data = text.folded_data
        if self._phrases:
            data = data.translate(_TO_BLANKS)
        if len(data) <= _WINDOW and not self._search.find_matches_as_indexes(data, overlapping=True):
            return ()
        found = self._found(_Straight(data, text))
        return found if found is not None else self._found(_Joined(data, text)) or ()

    def _found(self, line: "_Straight") -> list[Match] | None:
        """All places; None where some might be found in the joined line alone."""
        places: list[tuple[int, int]] = []
        allowed: list[tuple[int, int]] = []
        for portion in self._hits(line.data):
            if any(number >= len(self._sought) for number, _, _ in portion):
                return None
            hits = self._in_characters(portion, line)
            alone = self._standing_alone(line.text, hits) if hits else hits
            if self._any_allowed:
                allowed += [(begin, end) for number, begin, end in alone if self._allowed[number]]
                alone = [hit for hit in alone if not self._allowed[hit[0]]]
            found = sorted({(begin, end) for _, begin, end in alone})
            places += _united(found) if len(found) > MANY_PLACES else found
        places.sort()
        if allowed:
            places = _outside(places, allowed)
        return [Match(*line.raw_span(begin, end), "word") for begin, end in places]

    def open_from(self, text: Text) -> int:
        line = _End(text, joined=self._phrases, last=max(LONGEST_HOLD, self._longest))
        tail, heads, end = line.text, self._heads, len(line.text)
        first = max(line.begins, end - self._longest)
        short = max(first, end - _HEAD + 1)
        begins = [begin for begin in range(first, short) if tail[begin : begin + _HEAD] in heads]
        for begin in (*begins, *range(short, end)):
            if self._is_open(tail, begin):
                return line.raw_begin(begin)
        return len(text)

    def _hits(self, line: bytes) -> Iterator[list[tuple[int, int, int]]]:
        """Where in a line words stand, part of others or not: number of the word, begin, end. In some portions."""
        search = self._search.find_matches_as_indexes
        if len(line) <= _WINDOW:
            yield search(line, overlapping=True)
            return
        for new in range(0, len(line), _WINDOW):
            first = max(0, new - self._longest_bytes + 1)
            hits = search(line[first : new + _WINDOW], overlapping=True)
            yield [(number, first + begin, first + end) for number, begin, end in hits if first + end > new]

    def _in_characters(self, hits: list[tuple[int, int, int]], line: "_Straight") -> list[tuple[int, int, int]]:
        """They come by their ends."""
        if line.data.isascii():
            return hits
        made = []
        for number, _, end in hits:
            last = line.characters(end)
            made.append((number, last - self._lengths[number], last))
        return made

    def _standing_alone(self, line: str, hits: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        if not line.isascii():
            hits = [hit for hit in hits if not (_PART.match(line, hit[2]) and _MAY_GROW.match(line, hit[2] - 1))]
        if not self._whole:
            return hits
        return [
            hit
            for hit in hits
            if not _divided(line, hit[1]) and (not _divided(line, hit[2]) or _HANGUL.match(line, hit[2] - 1))
        ]

    def _is_open(self, line: str, begin: int) -> bool:
        """Whether what follows the end may make a word of what stands from a place on, or unmake it."""
        if self._whole and _divided(line, begin):
            return False
        rest = line[begin:]
        place = bisect_left(self._sought, rest)
        for word in self._sought[place : place + 2]:
            if not word.startswith(rest):
                return False
            if len(word) > len(rest) or _MAY_GROW.match(rest[-1]):
                return True
            if self._whole and _is_divided(rest[-1]):
                return True
        return False

    def _refuse_nests(self) -> None:
        for word in self._sought:
            data = word.encode()
            hits = self._search.find_matches_as_indexes(data, overlapping=True)
            nest = [self._sought[number] for number, _, end in hits if end == len(data)]
            if len(nest) > DEEPEST_NEST:
                raise ValueError(
                    f"leave out some of the words that end in one another, such as {min(nest, key=len)!r}: "
                    f"{len(nest)} words do, and at most {DEEPEST_NEST} may"
                )


class _Straight:
    """A text's folded form, ``data`` in UTF-8, with blanks for line breaks where phrases are looked for."""

    __slots__ = ("_byte", "_character", "_line", "_text", "data")

    def __init__(self, data: bytes, text: Text) -> None:
        self.data = data
        self._text = text
        self._line: str | None = None
        self._byte = self._character = 0

    @property
    def text(self) -> str:
        if self._line is None:
            self._line = self.data.decode()
        return self._line

    def characters(self, byte: int) -> int:
        """How many there are before a byte. Whoever asks goes from the left to the right."""
        self._character += len(self.data[self._byte : byte].decode())
        self._byte = byte
        return self._character

    def raw_span(self, begin: int, end: int) -> tuple[int, int]:
        """Where in the text as it came a place is."""
        return self._text.raw_span_of_folded(begin, end)


class _Joined(_Straight):
    """The same with each row of blanks as one."""

    __slots__ = ("_begins", "_given", "_skipped")

    def __init__(self, data: bytes, text: Text) -> None:
        super().__init__(b" ".join(data.split()), text)
        self._given = data
        self._begins: list[int] | None = None
        self._skipped: list[int] = []

    def raw_span(self, begin: int, end: int) -> tuple[int, int]:
        return self._text.raw_span_of_folded(self._unjoined(begin), self._unjoined(end - 1) + 1)

    def _unjoined(self, place: int) -> int:
        if self._begins is None:
            spans = [row.span() for row in _BLANKS.finditer(self._given.decode())]
            left = [end - begin - (begin > 0) for begin, end in spans]
            self._skipped = list(accumulate(left, initial=0))
            self._begins = [
                begin + (begin > 0) - before for (begin, _), before in zip(spans, self._skipped, strict=False)
            ]
        return place + self._skipped[bisect_right(self._begins, place)]


class _End:
    """The last characters of a text's folded form, those from ``begins`` on, and what stands right before them.

    ``joined``: with each row of blanks and line breaks as one blank.
    """

    __slots__ = ("_given", "_text", "_truncated", "begins", "text")

    def __init__(self, text: Text, *, joined: bool, last: int) -> None:
        folded = text.folded
        self._truncated = max(0, len(folded) - last - 1)
        self.begins = 1 if self._truncated else 0
        self._text = text
        self._given = folded[self._truncated :]
        if joined:
            self._given = _with_blanks(self._given)
        self.text = _with_single_blanks(self._given) if joined else self._given

    def raw_begin(self, place: int) -> int:
        """Where in the text as it came what stands at a place begins."""
        for row in _ROWS.finditer(self._given) if len(self.text) != len(self._given) else ():
            if row.start() >= place:
                break
            place += row.end() - row.start() - 1
        return self._text.raw_span_of_folded(self._truncated + place, self._truncated + place + 1)[0]


def _with_blanks(line: str) -> str:
    if line.isascii():
        return line.translate(_BREAKS)
    for mark in map(chr, _BREAKS):
        line = line.replace(mark, " ")
    return line


def _with_single_blanks(line: str) -> str:
    while "  " in line:
        line = line.replace("  ", " ")
    return line


def _parted(words: Sequence[str]) -> frozenset[str]:
    """How phrases begin that have a row of blanks in them: up to it, with two blanks of it."""
    return frozenset(f"{word[: blank.start()]}  " for word in words if " " in word for blank in _BLANK.finditer(word))


def _spelt(words: Sequence[str], setting: str) -> frozenset[str]:
    spellings: set[str] = set()
    for number, word in enumerate(words):
        if len(word) > LONGEST_WORD:
            raise ValueError(f"{setting}[{number}] has more than {LONGEST_WORD} characters: shorten it")
        found = {" ".join(Text(spelling).folded.split()) for spelling in _cases(word)}
        if "" in found:
            raise ValueError(f"{setting}[{number}] has no character that can be seen: take it out")
        spellings |= found
    return frozenset(spellings)


def _cases(word: str) -> Iterator[str]:
    """The word with capitals and small letters, where these look like different Latin letters (Greek eta: H, n)."""
    cases = [_cases_of(char) for char in word]
    if sum(len(case) - 1 for case in cases) <= 4:
        yield from map("".join, product(*cases))
    else:
        yield from (word, word.lower(), word.upper(), word.capitalize())


@lru_cache(maxsize=1024)
def _cases_of(char: str) -> tuple[str, ...]:
    small, capital = char.lower(), char.upper()
    return (char,) if Text(small).folded == Text(capital).folded else (small, capital)


def _united(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    united = places[:1]
    for begin, end in places[1:]:
        if begin > united[-1][1]:
            united.append((begin, end))
        elif end > united[-1][1]:
            united[-1] = (united[-1][0], end)
    return united


def _outside(places: list[tuple[int, int]], allowed: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The places that do not lie within one that is allowed."""
    allowed.sort()
    begins = [begin for begin, _ in allowed]
    reach = list(accumulate((end for _, end in allowed), max, initial=0))
    return [(begin, end) for begin, end in places if end > reach[bisect_right(begins, begin)]]


def _divided(line: str, place: int) -> bool:
    """Whether a place is within a word."""
    return 0 < place < len(line) and _is_divided(line[place - 1]) and _is_divided(line[place])


@lru_cache(maxsize=4096)
def _is_divided(char: str) -> bool:
    """Whether a character is of words, and of such as blanks divide."""
    return (char.isalnum() or unicodedata.category(char)[0] == "M") and not _UNDIVIDED.match(char)
