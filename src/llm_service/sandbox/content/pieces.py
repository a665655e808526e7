"""The sandbox's own tokens. One rule for output (a piece is a token is a chunk), one for input (four bytes are a token)."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\s*[A-Za-z]{1,7}|\s*[0-9]{1,3}|\s*[^\sA-Za-z0-9]|\s+")

INPUT_TOKENS_PER_MESSAGE = 4
INPUT_TOKENS_PER_REQUEST = 3


def pieces(text: str) -> list[str]:
    """Cut a text into output tokens: up to 7 letters, up to 3 digits, or one other character, each with the blanks before it."""
    return _PIECE.findall(text)


def input_tokens(text: str) -> int:
    """Input tokens of a text: its UTF-8 bytes divided by four, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4
