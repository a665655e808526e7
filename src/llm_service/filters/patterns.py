"""Regular expressions of operators, by an engine whose time is linear in the text."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from llm_service.filters.beginnings import beginnings
from llm_service.filters.detector import Match
from llm_service.filters.options import FilterOptions
from llm_service.filters.text import LONGEST_HOLD, Text

if TYPE_CHECKING:
    import re2

MOST_PATTERNS: Final = 500
LONGEST_PATTERN: Final = 1000
LARGEST_PROGRAM: Final = 100_000
"""Instructions that a pattern may compile to: what it costs at worst for each byte of a text."""
LARGEST_BEGINNING: Final = 40_000
"""And that of what tells whether the end of a text may become a match, which is asked for each chunk of a stream."""
PATTERN_BYTES: Final = 8 << 20
ALL_PATTERNS_BYTES: Final = 32 << 20

_GENEROUS_PLACES: Final = 64
_WINDOW_BYTES: Final = 2048
_OVERLAP_BYTES: Final = 1024

_CANNOT: Final = (
    ("(?=", "look ahead"),
    ("(?!", "look ahead"),
    ("(?<", "look behind"),
    ("(?>", "hold on to what a group has matched"),
    ("(?(", "match on conditions"),
    ("(?P", "refer back to a group by its name"),
    ("invalid escape sequence: \\Z", "take \\Z for the end of the text: write \\z"),
)


def regex_detector(options: FilterOptions) -> "Patterns":
    """What finds the patterns of a filter.

    Raises ``ValueError`` that names the pattern by its number, from 0, and says what RE2 does not take.
    """
    if not options.patterns:
        raise ValueError("give patterns to look for")
    if len(options.patterns) > MOST_PATTERNS:
        raise ValueError(f"give at most {MOST_PATTERNS} patterns: these are {len(options.patterns)}")
    return Patterns(options.patterns, allowed=options.allow)


class Patterns:
    """Finds patterns in a text's visible form; letters count as they are written, but for ``(?i)``."""

    def __init__(self, patterns: Sequence[str], *, allowed: Sequence[str] = ()) -> None:
        self._patterns = [_compiled(pattern, f"patterns[{number}]") for number, pattern in enumerate(patterns)]
        self._any = _set_of(patterns) if len(patterns) > 1 else None
        self._beginning = _beginning_of(patterns)
        self._allowed = frozenset(Text(text).visible.casefold() for text in allowed)

    def find(self, text: Text) -> Sequence[Match]:
        data = text.visible_data
        if not (hit := self._hit(data)):
            return ()
        visible = text.visible
        places: set[tuple[int, int]] = set()
        for number in hit:
            spans = _places(self._patterns[number], data)
            places.update(spans if len(data) == len(visible) else _in_characters(spans, data))
        found = (place for place in sorted(places) if not self._is_allowed(visible, place))
        return [Match(*text.raw_span_of_visible(begin, end), "pattern") for begin, end in found]

    def open_from(self, text: Text) -> int:
        visible = text.visible
        end = len(visible)
        begin = max(0, end - LONGEST_HOLD)
        if self._beginning is not None:
            data = text.visible_data
            begun = self._beginning.search(data).start()
            begin = max(begin, begun if len(data) == end else len(data[:begun].decode()))
        return text.raw_span_of_visible(begin, end)[0]

    def _hit(self, data: bytes) -> Sequence[int]:
        if self._any is None:
            return range(len(self._patterns))
        return self._any.Match(data) or ()

    def _is_allowed(self, visible: str, place: tuple[int, int]) -> bool:
        return bool(self._allowed) and visible[place[0] : place[1]].casefold() in self._allowed


def _places(pattern: "re2._Regexp", data: bytes) -> Iterator[tuple[int, int]]:
    """Where a pattern matches, from left to right.

    To look for a longer match may take all that is left of the text, for each match anew: after some of them they are
    looked for in windows alone, so that the time for all of them stays linear.
    """
    place = count = 0
    while place < len(data):
        stop = len(data) if count < _GENEROUS_PLACES else min(len(data), place + _WINDOW_BYTES)
        match = pattern.search(data, place, stop)
        if match is None and stop == len(data):
            return
        if match is None:
            place = stop - _OVERLAP_BYTES
        else:
            begin, end = match.span()
            if begin < end:
                yield begin, end
            place = end if begin < end else end + 1
            count += 1


def _in_characters(spans: Iterator[tuple[int, int]], data: bytes) -> Iterator[tuple[int, int]]:
    last = chars = 0
    for begin, end in spans:
        first = chars + len(data[last:begin].decode())
        chars = first + len(data[begin:end].decode())
        last = end
        yield first, chars


def _options(limit_bytes: int) -> "re2.Options":
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = limit_bytes
    return options


def _compiled(pattern: str, name: str) -> "re2._Regexp":
    import re2

    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"{name} has more than {LONGEST_PATTERN} characters: shorten it, or make several of it")
    try:
        compiled = re2.compile(pattern, _options(PATTERN_BYTES))
    except re2.error as error:
        raise ValueError(f"{name}: {_complaint(error)}") from None
    except UnicodeEncodeError:
        raise ValueError(f"{name} has half a surrogate pair: write the character itself") from None
    if compiled.programsize > LARGEST_PROGRAM:
        raise ValueError(f"{name} is too large for every text to be searched for it: use fewer repetitions")
    if compiled.search(b"") is not None:
        raise ValueError(f"{name} matches the empty text, and so everywhere: make a part of it necessary")
    if "\\C" in pattern:
        raise ValueError(f"{name} has \\C, half a character: write what characters there may be")
    return compiled


def _complaint(error: "re2.error") -> str:
    reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error.args[0])
    for sign, what in _CANNOT:
        if sign in reason:
            return f"RE2 does not {what} ({reason})"
    if reason.startswith("invalid escape sequence: \\") and reason[-1].isdigit():
        return f"RE2 does not refer back to a group ({reason})"
    return f"RE2 does not take it: {reason}"


def _set_of(patterns: Sequence[str]) -> "re2.Set | None":
    """All patterns as one, which tells which of them match; None where they are too many for that."""
    import re2

    witness = "\x00witness\x00"
    found = re2.Set.SearchSet(_options(ALL_PATTERNS_BYTES))
    try:
        for pattern in (*patterns, witness):
            found.Add(pattern)
        found.Compile()
    except re2.error:
        return None
    # A set that lacks memory finds nothing, and does not say so.
    return found if len(patterns) in (found.Match(witness.encode()) or ()) else None


def _beginning_of(patterns: Sequence[str]) -> "re2._Regexp | None":
    """What matches the earliest beginning of a match that reaches the end of a text; None where that is not known."""
    import re2

    parts = [beginnings(pattern) for pattern in patterns]
    try:
        whole = "|".join(f"(?:{part})" for part in parts if part is not None)
        found = re2.compile(f"(?:{whole})\\z", _options(ALL_PATTERNS_BYTES)) if None not in parts else None
    except re2.error:
        return None
    if found is None or found.programsize > LARGEST_BEGINNING:
        return None
    found.search(b"-")  # RE2 makes what it needs on first use: not while a stream waits
    return found
