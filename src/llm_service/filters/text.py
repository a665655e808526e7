"""A text in the forms in which it is looked at, so that disguises do not matter."""

from typing import Final

LONGEST_HOLD: Final = 64
"""Characters at the end of a growing text that may be held back while it is not known what becomes of them."""


class Text:
    """One text, and what it looks like.

    ``raw``: as it came. ``visible``: without characters that are not seen (zero-width, bidirectional controls, soft
    hyphens, variation selectors), compatibility forms made plain (NFKC, character by character). ``folded``: that
    without case, without diacritics of Latin, Greek and Cyrillic, and with look-alikes of Latin letters made Latin.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: str) -> None:
        self.raw = raw

    def __len__(self) -> int:
        return len(self.raw)
