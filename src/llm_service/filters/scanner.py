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

    ``unicode``: texts are UTF-8; otherwise each byte is a character, as ``plain`` makes them.
    """

    __slots__ = ("_compile", "_compiled", "_hints")

    def __init__(self, rows: Sequence[Row], *, unicode: bool = False) -> None:
        import re2

        rows = tuple(rows)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.UTF8 if unicode else re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.max_mem = _MAX_MEMORY_BYTES
        self._hints: Any = re2.Set.SearchSet(options)
        for row in rows:
            self._hints.Add(row.hint.encode())
        self._hints.Compile()
        self._compiled: dict[int, Any] = {}
        self._compile: Any = lambda row: re2.compile(rows[row].pattern.encode(), options)

    def hits(self, text: bytes) -> list[int]:
        """The numbers of the rows whose hints occur, upwards."""
        return sorted(self._hints.Match(text) or ())

    def places(self, row: int, text: bytes) -> Iterator[tuple[int, int]]:
        """Where the row's pattern occurs, in bytes, from left to right, without overlaps."""
        pattern = self._compiled.get(row)
        if pattern is None:  # most are never needed, and all of them would take a start's time
            pattern = self._compiled[row] = self._compile(row)
        for match in pattern.finditer(text):
            yield match.span(1)


def plain(text: str) -> bytes:
    """The text with a byte for each character: all that are not ASCII are ``?``."""
    return text.encode("ascii", "replace")
