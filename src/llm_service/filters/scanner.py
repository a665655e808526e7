"""Many patterns over one text, in a time that is linear in the text."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

_MAX_MEMORY_BYTES: Final = 32 << 20


class Row(NamedTuple):
    """What is looked for: ``pattern`` in RE2's syntax, whose group 1 is the place; ``hint``: where that does not occur,
    the pattern does not either. Hints should be short and literal: all of them are looked for at once."""

    hint: str
    pattern: str


class Scanner:
    """Looks for all hints in one pass, and for the patterns of those alone that occur.

    Works on bytes, one character each, so that places are those of the text: ``plain`` makes them.
    """

    __slots__ = ("_hints", "_patterns")

    def __init__(self, rows: Sequence[Row]) -> None:
        import re2

        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.max_mem = _MAX_MEMORY_BYTES
        self._hints: Any = re2.Set.SearchSet(options)
        for row in rows:
            self._hints.Add(row.hint.encode("latin-1"))
        self._hints.Compile()
        self._patterns: list[Any] = [re2.compile(row.pattern.encode("latin-1"), options) for row in rows]

    def hits(self, plain: bytes) -> list[int]:
        """The numbers of the rows whose hints occur, upwards."""
        return sorted(self._hints.Match(plain) or ())

    def places(self, row: int, plain: bytes) -> Iterator[tuple[int, int]]:
        """Where the row's pattern occurs, from left to right, without overlaps."""
        for match in self._patterns[row].finditer(plain):
            yield match.span(1)


def plain(text: str) -> bytes:
    """The text with a byte for each character: all that are not ASCII are ``?``."""
    return text.encode("ascii", "replace")
