"""What finds something in a text."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from llm_service.filters.text import Text


class Match(NamedTuple):
    """A place in a text, in characters of the text as it came: ``begin`` up to, without, ``end``.

    ``label``: what it is, in a word that says nothing of the text: ``email``, ``card``, ``word``, ``pattern``.
    """

    begin: int
    end: int
    label: str


class Detector(Protocol):
    """Finds what a filter is about. Pure: the same text has the same matches, whenever and wherever."""

    def find(self, text: Text) -> Sequence[Match]:
        """All places, by their beginnings; overlapping ones are allowed."""

    def open_from(self, text: Text) -> int:
        """Where the text's unfinished end begins: what follows could make a match of what stands from there on.

        ``len(text)`` where nothing at the end could become a match, or change one that ends there. For a text that
        grows: what lies before is judged for good.
        """
