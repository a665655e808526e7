"""Many patterns over one text, in a time that is linear in the text."""

from collections.abc import Iterator, Sequence, Set
from typing import Any, Final, NamedTuple

BLOCK: Final = 4096
"""Bytes that are asked about at once: patterns are looked for near the blocks in which their hints occur."""
OVERLAP: Final = 256
"""Bytes behind a block that are asked about with it: no hint is longer, but for its rows of blanks."""
LONG_ROW: Final = 32
"""So many blanks in a row, and more, count for a place where a match may be of any length."""

_MAX_MEMORY_BYTES: Final = 32 << 20
_LONG_ROW_HINT: Final = rf"\s{{{LONG_ROW}}}"


class Row(NamedTuple):
    """What is looked for: ``pattern`` in RE2's syntax, whose group 1 is the place; ``hint``: where that does not occur,
    the pattern does not either. Hints should be short and literal: all of them are looked for at once.

    ``reach``: how many characters a match has at most, where no row of blanks in it is as long as ``LONG_ROW``; None
    where that is not known. ``is_open``: as many tell it, and it may go on.
    """

    hint: str
    pattern: str
    reach: int | None = None
    is_open: bool = False


class Hits(NamedTuple):
    """The blocks of a text in which the hint of a row occurs; ``loose``: those with long rows of blanks."""

    blocks: Sequence[int]
    loose: Set[int]


class Scanner:
    """Looks for all hints in one pass, and for the patterns of those alone that occur.

    ``unicode``: texts are UTF-8; otherwise each byte is a character, as in ``Text.ascii``.
    """

    __slots__ = ("_compile", "_compiled", "_hints", "_most_bytes", "_rows")

    def __init__(self, rows: Sequence[Row], *, unicode: bool = False) -> None:
        import re2

        self._rows = tuple(rows)
        self._most_bytes = 4 if unicode else 1
        options = re2.Options()
        options.encoding = re2.Options.Encoding.UTF8 if unicode else re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.max_mem = _MAX_MEMORY_BYTES
        self._hints: Any = re2.Set.SearchSet(options)
        for row in self._rows:
            self._hints.Add(row.hint.encode())
        self._hints.Add(_LONG_ROW_HINT.encode())
        self._hints.Compile()
        self._compiled: dict[int, Any] = {}
        self._compile: Any = lambda row: re2.compile(self._rows[row].pattern.encode(), options)

    def hits(self, text: bytes) -> dict[int, Hits]:
        """The rows whose hints occur, upwards, and where."""
        match = self._hints.Match
        if len(text) <= BLOCK and not match(text):
            return {}
        found: dict[int, list[int]] = {}
        for number, begin in enumerate(range(0, len(text), BLOCK)):
            for row in match(text[begin : begin + BLOCK + OVERLAP]) or ():
                found.setdefault(row, []).append(number)
        loose = frozenset(found.pop(len(self._rows), ()))
        return {row: Hits(found[row], loose) for row in sorted(found)}

    def places(self, row: int, text: bytes, hits: Hits) -> Iterator[tuple[int, int]]:
        """Where the row's pattern occurs, in bytes, from left to right, without overlaps."""
        reach = self._rows[row].reach
        if reach is None:
            yield from self.everywhere(row, text)
            return
        pattern, is_open = self._pattern(row), self._rows[row].is_open
        reach *= 1 if text.isascii() else self._most_bytes
        at = 0
        for first, last in _stretches(hits):
            at, until = max(at, first * BLOCK - reach), (last + 1) * BLOCK + OVERLAP
            while at < until and (match := pattern.search(text, at, min(len(text), until + reach))):
                if match.start() >= until:
                    break
                if is_open:
                    match = pattern.match(text, match.start())
                yield match.span(1)
                at = match.end()

    def everywhere(self, row: int, text: bytes) -> Iterator[tuple[int, int]]:
        """The same of a text in which nobody has looked for hints."""
        for match in self._pattern(row).finditer(text):
            yield match.span(1)

    def _pattern(self, row: int) -> Any:
        pattern = self._compiled.get(row)
        if pattern is None:  # most are never needed, and all of them would take a start's time
            pattern = self._compiled[row] = self._compile(row)
        return pattern


def _stretches(hits: Hits) -> Iterator[tuple[int, int]]:
    """The blocks in which a match may lie, first and last: those of its hint, and as many as long rows of blanks join
    to them."""
    done = -1
    for block in hits.blocks:
        if block <= done:
            continue
        first = last = block
        while first - 1 > done and (first in hits.loose or first - 1 in hits.loose):
            first -= 1
        while last in hits.loose or last + 1 in hits.loose:
            last += 1
        done = last
        yield first, last
