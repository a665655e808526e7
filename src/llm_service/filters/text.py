"""A text in the forms in which it is looked at, so that disguises do not matter."""

from typing import Final

from llm_service.filters import folding

LONGEST_HOLD: Final = 64
"""Characters at the end of a growing text that may be held back while it is not known what becomes of them."""


class Text:
    """One text, and what it looks like.

    ``raw``: as it came. ``visible``: without characters that are not seen (zero-width, bidirectional controls, soft
    hyphens, variation selectors, tags), compatibility forms made plain (NFKC, character by character), halves of
    surrogate pairs as U+FFFD, so that it can always be encoded. ``folded``: that without case, without diacritics,
    and with look-alikes of Latin letters and digits made Latin.

    Each form is made when it is first asked for, in time linear in the text's length. The forms of a text are those
    of its parts one after the other, wherever it is cut.
    """

    __slots__ = ("_folded", "_lower", "_plain", "_visible", "raw")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._plain: bool | None = None
        self._lower: str | None = None
        self._visible: folding.Form | None = None
        self._folded: folding.Form | None = None

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def visible(self) -> str:
        return self.raw if self._is_plain() else self._visible_form().text

    @property
    def folded(self) -> str:
        if not self._is_plain():
            return self._folded_form().text
        if self._lower is None:
            self._lower = self.raw.lower()
        return self._lower

    def raw_span_of_visible(self, begin: int, end: int) -> tuple[int, int]:
        """Which characters of the text as it came a place in ``visible`` was made of; the text's end for its end."""
        return (begin, end) if self._is_plain() else self._visible_form().raw_span(begin, end)

    def raw_span_of_folded(self, begin: int, end: int) -> tuple[int, int]:
        """Which characters of the text as it came a place in ``folded`` was made of; the text's end for its end."""
        return (begin, end) if self._is_plain() else self._folded_form().raw_span(begin, end)

    def _is_plain(self) -> bool:
        if self._plain is None:
            self._plain = folding.plain(self.raw)
        return self._plain

    def _visible_form(self) -> folding.Form:
        if self._visible is None:
            self._visible = folding.visible(self.raw)
        return self._visible

    def _folded_form(self) -> folding.Form:
        if self._folded is None:
            self._folded = folding.folded(self.raw)
        return self._folded
