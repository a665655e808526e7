"""New inputs out of those that there are."""

import re
from collections.abc import Iterable, Sequence
from random import Random

MOST_BYTES = 8192
_WORD = re.compile(rb"[A-Za-z0-9_]+|[^\sA-Za-z0-9_]+|\s+")
_ODD = (
    *(b"\0", b"\xff", b"\x7f", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80"),
    *(b"\xc2\x85", b"\xe2\x80\xa8", b"\xd9\xa1", b"\xe2\x84\xaa", b"\\ud800", b"NaN", b"null", b"..", b"%", b"$"),
    *(b"0", b"-1", b"-0", b"1.0", b"1e309", b"9223372036854775808", b"18446744073709551616"),
    *(b"[", b"{", b'"', b"'", b",", b":"),
)


class Mutator:
    """Changes inputs by chance. Its words are those of the corpus, so that it learns the language of a target."""

    def __init__(self, seeds: Iterable[bytes], dice: Random) -> None:
        self._words = sorted({word for seed in seeds for word in _WORD.findall(seed)[:2000] if len(word) <= 64})
        self._dice = dice

    def mutated(self, pool: Sequence[bytes]) -> bytes:
        """One of the pool, changed in one to eight places."""
        data = bytearray(self._dice.choice(pool))
        for _ in range(self._dice.choice((1, 1, 2, 3, 8))):
            self._change(data, pool)
        return bytes(data[:MOST_BYTES])

    def _change(self, data: bytearray, pool: Sequence[bytes]) -> None:
        dice = self._dice
        at = dice.randint(0, len(data))
        length = dice.choice((0, 0, 1, 2, 8, len(data) // 4))
        match dice.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                data[at : at + length] = b""
            case 2:
                data[at : at + length] = data[at : at + dice.choice((1, 4, 32))] * dice.choice((2, 3, 50))
            case 3:
                other = dice.choice(pool)
                begin = dice.randint(0, len(other))
                data[at : at + length] = other[begin : begin + dice.choice((1, 8, 64, 1024))]
            case 4:
                data[at : at + length] = dice.choice(_ODD)
            case 5 if self._words:
                data[at : at + length] = dice.choice(self._words)
            case _:
                data[at : at + length] = dice.randbytes(dice.choice((1, 2, 4)))
