"""The sandbox's own tokens: on the way out a piece is a token is a chunk, on the way in four bytes are a token."""

from __future__ import annotations

import re
from typing import Final

_PIECE: Final = re.compile(r"\s*[A-Za-z]{1,7}|\s*[0-9]{1,3}|\s*[^\sA-Za-z0-9]|\s+")

INPUT_TOKENS_PER_MESSAGE: Final = 4
INPUT_TOKENS_PER_REQUEST: Final = 3


def pieces(text: str) -> list[str]:
    """Cut a text into output tokens: up to 7 letters, 3 digits, or one other character, with the blanks before it."""
    return _PIECE.findall(text)


def input_tokens(text: str) -> int:
    """Input tokens of a text: its UTF-8 bytes divided by four, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4
