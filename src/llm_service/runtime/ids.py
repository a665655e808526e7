"""Names for requests and streams: unique, not to be guessed, and in the order of their making."""

import random
from typing import Final, Protocol

from llm_service.runtime.clock import Clock

STOCK: Final = 16
MASK: Final = (1 << 62) - 1


class IdSource(Protocol):
    """Where ids come from."""

    def new(self, prefix: str) -> str:
        """A new id, ``<prefix>_<26 hexadecimal digits>``."""


class RandomIds:
    """Ids of 42 bits of milliseconds and 62 random bits: they sort by time and do not collide across processes."""

    __slots__ = ("_bits", "_clock", "_left", "_random")

    def __init__(self, clock: Clock, source: random.Random) -> None:
        self._clock = clock
        self._random = source
        self._bits = 0
        self._left = 0

    def new(self, prefix: str) -> str:
        """A new id, ``<prefix>_<26 hexadecimal digits>``."""
        if not self._left:  # asking the system for a few bits costs as much as asking for many
            self._bits = self._random.getrandbits(62 * STOCK)
            self._left = STOCK
        self._left -= 1
        bits = self._bits & MASK
        self._bits >>= 62
        return f"{prefix}_{(int(self._clock.time() * 1000) << 62 | bits):026x}"


def system_random() -> random.Random:
    """Randomness of the operating system: nobody can guess it, and processes do not share it."""
    return random.SystemRandom()
