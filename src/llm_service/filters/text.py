"""A text in the forms in which it is looked at, so that disguises do not matter."""

from typing import Final

from llm_service.filters import folding

LONGEST_HOLD: Final = 64
"""Characters at the end of a growing text that may be held back while it is not known what becomes of them."""

_MARKED: Final = bytes(range(128)) + b"?" * 128
_CONTINUED: Final = bytes(range(0x80, 0xC0))


class Text:
    """One text, and what it looks like.

    ``raw``: as it came. ``visible``: without characters that are not seen (zero-width, bidirectional controls, soft
    hyphens, variation selectors, tags), compatibility forms made plain (NFKC, character by character), halves of
    surrogate pairs as U+FFFD, so that it can always be encoded. ``folded``: that without case, without diacritics,
    and with look-alikes of Latin letters and digits made Latin.

    ``visible_data``, ``folded_data``: the same in UTF-8; ``ascii``: the visible one with a byte for each character,
    ``?`` for all that are not ASCII.

    Each form is made when it is first asked for, in time linear in the text's length. The forms of a text are those
    of its parts one after the other, wherever it is cut.
    """

    __slots__ = (
        "_ascii", "_folded", "_folded_data", "_folded_form", "_forms", "_is_plain", "_visible", "_visible_data",
        "_visible_form", "raw",
    )  # fmt: skip

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._folded_data = folding.small_if_plain(raw)
        self._is_plain = self._folded_data is not None
        self._forms: folding.Forms | None = None
        self._visible: str | None = None
        self._visible_form: folding.Form | None = None
        self._folded_form: folding.Form | None = None
        self._folded: str | None = None
        self._visible_data: bytes | None = None
        self._ascii: bytes | None = None

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def visible(self) -> str:
        if self._visible is None:
            self._visible = self.raw if self._is_plain else self._visibly().text
        return self._visible

    @property
    def folded(self) -> str:
        if self._folded is None:
            self._folded = self.folded_data.decode()
        return self._folded

    @property
    def hides(self) -> bool:
        """Whether there are characters in it that are not seen."""
        return not self._is_plain and self._both().hides()

    @property
    def visible_data(self) -> bytes:
        if self._visible_data is None:
            self._visible_data = self.visible.encode()
        return self._visible_data

    @property
    def folded_data(self) -> bytes:
        if self._folded_data is None:
            self._folded_data = self._foldedly().text.encode().lower()
        return self._folded_data

    @property
    def ascii(self) -> bytes:
        if self._ascii is None:
            data = self.visible_data
            self._ascii = data if self._is_plain else a_byte_each(data)
        return self._ascii

    def raw_span_of_visible(self, begin: int, end: int) -> tuple[int, int]:
        """Which characters of the text as it came a place in ``visible`` was made of; the text's end for its end."""
        return (begin, end) if self._is_plain else self._visibly().raw_span(begin, end)

    def raw_span_of_folded(self, begin: int, end: int) -> tuple[int, int]:
        """Which characters of the text as it came a place in ``folded`` was made of; the text's end for its end."""
        return (begin, end) if self._is_plain else self._foldedly().raw_span(begin, end)

    def _visibly(self) -> folding.Form:
        if self._visible_form is None:
            self._visible_form = self._both().visible()
        return self._visible_form

    def _foldedly(self) -> folding.Form:
        if self._folded_form is None:
            self._folded_form = self._both().folded()
        return self._folded_form

    def _both(self) -> folding.Forms:
        if self._forms is None:
            self._forms = folding.Forms(self.raw)
        return self._forms


def a_byte_each(data: bytes) -> bytes:
    """From UTF-8 a byte for each character: all that are not ASCII are ``?``."""
    return data.translate(_MARKED, _CONTINUED)
