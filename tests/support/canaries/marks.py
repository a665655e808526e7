"""Canaries: texts that are found wherever they turn up, in whatever form, and told apart by their numbers."""

import gzip
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_to_bytes

MARK: Final = "zqxwv"
"""No text of ours has it, and of random ones hardly any."""
_SIGNS: Final = (*(b"%c" % letter for letter in MARK.encode()), *[rb"(\d)"] * 3)
_RAW: Final = re.compile(rb"\0{0,3}".join(_SIGNS), re.IGNORECASE)
_HEX: Final = re.compile(MARK.encode().hex().encode() + rb"((?:3[0-9]){3})", re.IGNORECASE)
_ESCAPED: Final = re.compile(rb"\\u00([0-9a-f]{2})", re.IGNORECASE)
_PACKED: Final = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_ALPHABET: Final = re.compile(rb"[A-Za-z0-9+/]*")
_ONE_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")
_SHOWN: Final = 12
"""Whoever shortens a key shows so many of its last characters at most."""


def _in_base64(text: bytes, at: int) -> bytes:
    """What is in the Base64 of any text that has this one at such a place, from its own first bit to its last."""
    first, last = -(-8 * at // 6), 8 * (at + len(text)) // 6
    return b64encode(b"\0" * at + text)[first:last]


_BASE64: Final = tuple((re.compile(_in_base64(MARK.encode(), at)), -(-8 * at // 6)) for at in range(3))


class Canaries:
    """Makes them, and says which are in something. A canary's kind begins with what it is: ``prompt: tool arguments``.

    An own one is eight characters long, so that the end of a key which somebody shows has all of it.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._learnt: list[tuple[bytes, str]] = []

    def mark(self, kind: str) -> str:
        """One word of eight letters and digits, always the same of a kind."""
        number = self._numbers.setdefault(kind, len(self._numbers) + 1)
        return f"{MARK}{number:03d}"

    def key(self, kind: str) -> str:
        """A key whose beginning and whose last characters can both be told; it looks like no key."""
        return f"{self.mark(f'{kind}, its beginning')}Q3vTb7Kd{self.mark(f'{kind}, its end')}"

    def text(self, kind: str) -> str:
        """A sentence with all that encodings change."""
        return f'Tell nobody of the "{self.mark(kind)}" at Zoë\'s & of <b>{self.mark(kind)}</b> \\ please.'

    def learn(self, kind: str, secret: str) -> None:
        """A secret that somebody else has made."""
        for part in {secret, secret[-_SHOWN:]}:
            raw = part.encode()
            forms = {raw, raw.hex().encode(), *(_in_base64(raw, at) for at in range(3))}
            self._learnt += [(form, kind) for form in forms]

    def kinds_of(self, group: str) -> set[str]:
        """All that have been made of a group."""
        return {kind for kind in self._numbers if group_of(kind) == group}

    def found_in(self, data: bytes) -> set[str]:
        """The kinds of those that are in it: as they are, in capitals, in UTF-16, escaped, encoded, compressed."""
        return {kind for form in _forms(data) for kind in self._found_in(form)}

    def _found_in(self, data: bytes) -> Iterator[str]:
        kinds = [*self._numbers]
        for number in set(_numbers(data)):
            yield kinds[number - 1] if 0 < number <= len(kinds) else f"unknown: {number}"
        for part, kind in self._learnt:
            if part in data:
                yield kind


def group_of(kind: str) -> str:
    """What a canary is, of its kind."""
    return kind.partition(":")[0]


def _numbers(data: bytes) -> Iterator[int]:
    for found in _RAW.finditer(data):
        yield int(b"".join(found.groups()))
    for found in _HEX.finditer(data):
        yield int(bytes.fromhex(found[1].decode()))
    for form, before in _BASE64:
        for found in form.finditer(data):
            begin = found.start() - before
            whole = _ALPHABET.match(b"A" * max(0, -begin) + data[max(0, begin) : begin + 16].translate(_ONE_ALPHABET))
            told = whole[0] if whole else b""
            for inside in _RAW.finditer(b64decode(told + b"A" * (-len(told) % 4))):
                yield int(b"".join(inside.groups()))


def _forms(data: bytes) -> Iterator[bytes]:
    yield data
    if b"%" in data:
        yield unquote_to_bytes(data)
    if b"\\u00" in data.lower():
        yield _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), data)
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    for found in _PACKED.finditer(data):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(data[found.start() :])
