"""Names for requests and streams: unique, not to be guessed, and in the order of their making."""

import random
from typing import Protocol

from llm_service.runtime.clock import Clock


class IdSource(Protocol):
    """Where ids come from."""

    def new(self, prefix: str) -> str:
        """A new id, ``<prefix>_<26 hexadecimal digits>``."""


class RandomIds:
    """Ids of 42 bits of milliseconds and 62 random bits: they sort by time and do not collide across processes."""

    __slots__ = ("_clock", "_random")

    def __init__(self, clock: Clock, source: random.Random) -> None:
        self._clock = clock
        self._random = source

    def new(self, prefix: str) -> str:
        """A new id, ``<prefix>_<26 hexadecimal digits>``."""
        milliseconds = int(self._clock.now().timestamp() * 1000)
        return f"{prefix}_{(milliseconds << 62 | self._random.getrandbits(62)):026x}"


def system_random() -> random.Random:
    """Randomness of the operating system: nobody can guess it, and processes do not share it."""
    return random.SystemRandom()
