"""Embedding vectors: words hashed into dimensions, so that texts with common words lie close together."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Final

_WORD: Final = re.compile(r"\w+")
_PLACES: Final = 16  # dimensions that one word touches


def vector_for(text: str, *, seed: int, dimensions: int) -> list[float]:
    """A vector of length 1."""
    vector = [0.0] * dimensions
    key = b"%d" % seed
    for word in _WORD.findall(text.lower()) or [text]:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), key=key, digest_size=4 * _PLACES).digest()
        for at in range(0, 4 * _PLACES, 4):
            number = int.from_bytes(digest[at : at + 4], "big")
            vector[(number >> 1) % dimensions] += 1.0 if number & 1 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [round(value / length, 7) for value in vector]
