"""Choices that look random and are the same for the same key, in every process and on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_ALPHANUMERIC: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TO_ALPHANUMERIC: Final = (_ALPHANUMERIC * 5)[:256]
_BLOCK_BYTES: Final = 64


class Dice:
    """A stream of choices derived from a key by BLAKE2b."""

    __slots__ = ("_block", "_blocks", "_key", "_used", "_words")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._block = hashlib.blake2b(key).digest()
        self._blocks = 1
        self._used = 0
        self._words = 0

    def below(self, limit: int) -> int:
        """A whole number from 0 up to, not including, `limit`."""
        size = 2 if limit <= 0x1_0000 else 8
        if self._used + size > _BLOCK_BYTES:
            self._block = hashlib.blake2b(self._block + self._blocks.to_bytes(8, "big")).digest()
            self._blocks += 1
            self._used = 0
        number = int.from_bytes(self._block[self._used : self._used + size], "big")
        self._used += size
        return number % limit

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def fork(self, label: str) -> Dice:
        """Independent dice for a part, so that one part's choices do not move the next one's."""
        return Dice(self._key + b"/" + label.encode())

    def hex(self, length: int) -> str:
        """Hexadecimal digits."""
        return hashlib.blake2b(self._key + b"/hex", digest_size=min(64, (length + 1) // 2)).hexdigest()[:length]

    def word(self, length: int) -> str:
        """Up to 64 letters and digits, as in ids; every call gives others."""
        self._words += 1
        digest = hashlib.blake2b(self._key + b"/word%d" % self._words, digest_size=length).digest()
        return digest.translate(_TO_ALPHANUMERIC).decode()

    def uuid(self) -> str:
        """A UUID in version 4's form."""
        digits, variant = self.hex(32), self.pick("89ab")
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
