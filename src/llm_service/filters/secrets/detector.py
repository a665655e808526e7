"""Finds secrets in a text, and tells where at its end one may have begun."""

import re
from collections.abc import Sequence
from typing import Final

from llm_service.filters.detector import Match
from llm_service.filters.options import FilterOptions
from llm_service.filters.scanner import Row, Scanner
from llm_service.filters.secrets.formats import BEGINNINGS, DISORDERLY, FORMATS, RANDOM
from llm_service.filters.text import LONGEST_HOLD, Text

_RUN: Final = re.compile(r"[!-~]*\Z")
_ARMOUR: Final = "-----BEGIN"
_ARMOURED: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}-----(?:\s|\\[nr])*"
    r"(?:[A-Z][A-Za-z-]+: [^\n\\]{0,80}(?:\s|\\[nr])+){0,4}(?:[A-Za-z0-9+/=]+(?:\s|\\[nr])*)*"
)
_ARMOUR_ENDS: Final = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
_LEADS: Final = (":", "=", ">", "is", "ist", "est", "es", " e", "bearer", "basic", "token", "apikey")
_NEAR: Final = ("AKIA", "ASIA", "ecret", "ECRET")
_NEAR_CHARS: Final = 256
_WORD_CHARS: Final = range(5, 33)
_HEXADECIMAL: Final = frozenset("abcdef")
_BEGINNINGS: Final = tuple(BEGINNINGS)
_BEGUN: Final = frozenset(each[:end] for each in BEGINNINGS for end in range(1, len(each)))


def secret_detector(options: FilterOptions) -> "SecretDetector":
    """What finds keys, tokens and passwords, and with ``entropy`` random-looking strings; never those of ``allow``."""
    return SecretDetector(allow=options.allow, entropy=options.entropy)


class SecretDetector:
    """One pass over the text for the beginnings of all known forms; then those forms alone, and their checks."""

    __slots__ = ("_allow", "_entropy", "_formats", "_scanner")

    def __init__(self, *, allow: Sequence[str] = (), entropy: bool = False) -> None:
        self._formats = (*FORMATS, DISORDERLY) if entropy else FORMATS
        self._scanner = Scanner([Row(form.hint, form.pattern, form.reach, form.is_open) for form in self._formats])
        self._allow = frozenset(map(str.casefold, allow))
        self._entropy = entropy

    def find(self, text: Text) -> Sequence[Match]:
        """The secrets alone, without the names and quotes around them; each place once, by its most telling form."""
        visible = text.visible
        data = text.ascii
        found: dict[tuple[int, int], str] = {}
        for row, near in self._scanner.hits(data).items():
            form = self._formats[row]
            for begin, end in self._scanner.places(row, data, near):
                settled = form.check(visible, begin, end)
                if settled and not self._is_allowed(visible[begin:settled]):
                    found.setdefault((begin, settled), form.label)
        places = sorted(found.items())
        if self._entropy:
            places = _without_parts(places)
        return [Match(*text.raw_span_of_visible(*place), label) for place, label in places]

    def open_from(self, text: Text) -> int:
        """Where the last run of characters without a blank begins, unless it is a word that begins no secret."""
        visible = text.visible
        begin = min(self._run_begin(visible), _armour_begin(visible))
        if begin >= len(visible):
            return len(text)
        return max(text.raw_span_of_visible(begin, len(visible))[0], len(text) - LONGEST_HOLD)

    def _is_allowed(self, value: str) -> bool:
        return bool(self._allow) and value.casefold() in self._allow

    def _run_begin(self, visible: str) -> int:
        tail = visible[-LONGEST_HOLD:]
        if not tail or tail[-1].isspace():
            return len(visible)
        run = tail.rsplit(None, 1)[-1]
        if not run.isascii():
            found = _RUN.search(run)
            run = found[0] if found else ""
        if run.isalpha() and self._is_word(run, visible):
            return len(visible)
        return len(visible) - len(run)

    def _is_word(self, run: str, visible: str) -> bool:
        """Whether letters at the end of the text are no secret's beginning, whatever follows."""
        if self._entropy or len(run) not in _WORD_CHARS or run in _BEGUN or run.startswith(_BEGINNINGS):
            return False
        before = visible[-_NEAR_CHARS : -len(run)]
        if set(run) <= _HEXADECIMAL or before.rstrip(" \t\n\"'`").lower().endswith(_LEADS):
            return False
        return not any(near in before for near in _NEAR)


def _without_parts(places: list[tuple[tuple[int, int], str]]) -> list[tuple[tuple[int, int], str]]:
    """All but random-looking parts of what is told by its form, such as the lines of a private key."""
    kept, end = [], 0
    for place in places:
        if place[1] == RANDOM and place[0][1] <= end:
            continue
        if place[1] != RANDOM:
            end = max(end, place[0][1])
        kept.append(place)
    return kept


def _armour_begin(visible: str) -> int:
    """Where a PEM block that has not ended begins, the length of the text where there is none."""
    begin = visible.rfind(_ARMOUR)
    if begin < 0 or _ARMOUR_ENDS.search(visible, begin):
        return len(visible)
    if begin >= len(visible) - LONGEST_HOLD:
        return begin
    block = _ARMOURED.match(visible, begin)
    return begin if block is not None and block.end() >= len(visible) - LONGEST_HOLD else len(visible)
