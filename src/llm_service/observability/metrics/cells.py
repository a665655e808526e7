"""The figures of one process: float64 cells in a piece of shared memory, and beside them the names of their series."""

import math
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

Floats: TypeAlias = "memoryview[float]"
WORD: Final = 8
LAYOUT: Final = 1
"""The number of this layout, in the first word: memory of another one is not read."""

_LAYOUT_AT: Final = 0
_NAMES_END_AT: Final = 1
_STAMP_AT: Final = 2
_NAMES_BEGIN: Final = 8 * WORD
_ENTRY: Final = struct.Struct("=II")
_BETWEEN: Final = "\x00"


class Series(NamedTuple):
    """A series's name and labels, and where its cells begin."""

    metric: str
    labels: tuple[str, ...]
    cell: int


class Cells:
    """One process writes; others may read at any moment.

    Names grow upwards from the beginning, cells downwards from the end, so that nothing is ever moved and an index
    stays what it is. A name is there for readers when the length behind which it stands is published, last of all; by
    then its cells have their first values. A killed process leaves everything that it has counted.

    ``view`` is the memory as float64: ``cells.view[index] += 1.0`` counts, in some 60 ns.
    """

    __slots__ = ("_bytes", "_lowest", "_names_end", "_words", "view")

    def __init__(self, memory: memoryview) -> None:
        """``memory``: bytes, writable, a whole number of words; zeros, or what a process before this one has left."""
        self._bytes = memory
        self._words = memory.cast("Q")
        self.view: Floats = memory.cast("d")
        self._names_end = _NAMES_BEGIN
        self._lowest = len(self.view)

    @property
    def stamp(self) -> float:
        """When the gauges were set last: monotonic seconds, which are those of the machine; 0.0 while they are not."""
        return self.view[_STAMP_AT]

    @stamp.setter
    def stamp(self, at: float) -> None:
        self.view[_STAMP_AT] = at

    def begin(self) -> list[Series]:
        """Become the writer: the series that are there already, to go on with. Raises ValueError for another layout."""
        if not self._words[_NAMES_END_AT]:
            self._words[_LAYOUT_AT] = LAYOUT
            self._words[_NAMES_END_AT] = self._names_end
        return list(self.news())

    def add(self, metric: str, labels: tuple[str, ...], *, count: int, first: float = 0.0) -> int | None:
        """Cells for a new series, with their first value; the index of the first, ``None`` where no room is left."""
        text = _BETWEEN.join((metric, *(label.replace(_BETWEEN, "?") for label in labels))).encode("utf-8", "replace")
        end = self._names_end + _padded(len(text))
        cell = self._lowest - count
        if cell * WORD < end:
            return None
        for index in range(cell, self._lowest):
            self.view[index] = first
        begins = self._names_end + _ENTRY.size
        _ENTRY.pack_into(self._bytes, self._names_end, len(text), cell)
        self._bytes[begins : begins + len(text)] = text
        self._names_end, self._lowest = end, cell
        self._words[_NAMES_END_AT] = end
        return cell

    def news(self) -> Iterator[Series]:
        """The series whose names were published since this side has looked. Raises ValueError for another layout."""
        if self._words[_NAMES_END_AT] and self._words[_LAYOUT_AT] != LAYOUT:
            raise ValueError("the figures are of another version of the service")
        while self._names_end < self._words[_NAMES_END_AT]:
            size, cell = _ENTRY.unpack_from(self._bytes, self._names_end)
            begins = self._names_end + _ENTRY.size
            metric, *labels = bytes(self._bytes[begins : begins + size]).decode().split(_BETWEEN)
            self._names_end += _padded(size)
            self._lowest = min(self._lowest, cell)
            yield Series(metric, tuple(labels), cell)

    def values(self) -> tuple[int, list[float]]:
        """A copy of all cells that are in use, of those that this side knows: the first index, and the values."""
        return self._lowest, [*self.view[self._lowest :]]

    def release(self) -> None:
        """Let the memory go; nothing may be counted afterwards."""
        for view in (self.view, self._words, self._bytes):
            view.release()


def _padded(size: int) -> int:
    return -(-(_ENTRY.size + size) // WORD) * WORD


def is_told(value: float) -> bool:
    """Whether a gauge has a value now: one that nobody knows any more is no number."""
    return not math.isnan(value)
