"""Bytes cut into pieces, as a socket may give them: the same bytes in the same way each time."""

from random import Random
from zlib import crc32


def pieces(data: bytes) -> list[bytes]:
    """All of ``data`` in order; sometimes byte by byte."""
    dice = Random(crc32(data))
    longest = dice.choice((1, 2, 7, 64, 1024))
    cut, at = list[bytes](), 0
    while at < len(data):
        length = dice.randint(1, longest)
        cut.append(data[at : at + length])
        at += length
    return cut
