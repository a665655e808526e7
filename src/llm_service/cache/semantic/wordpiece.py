"""BERT's tokenizer for one vocabulary: words in small letters without accents, cut into the longest known pieces."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from unicodedata import category, normalize

_UNKNOWN: Final = "[UNK]"
_MOST_CHARS: Final = 100
"""A longer word is not known, as in the original."""
_HAN: Final = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_UNSEEN: Final = frozenset(("Cc", "Cf", "Co", "Cs"))
_ASCII_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class WordPiece:
    """Gives the ids that Hugging Face's tokenizers gives for the same file, without those around the text.

    Characters that came into Unicode after 10 may differ: either way they are unknown to the vocabulary.

    Written here because its some 80 lines replace a package that downloads models (tokenizers, with 25 MB of others),
    and because of kitoken, which ends the process when it is dropped in another thread than it was made in (0.11.1,
    2026-11-26). Names of special tokens in a text are mere text.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._unknown = vocabulary[_UNKNOWN]

    @classmethod
    def of_file(cls, path: Path) -> "WordPiece":
        """From a ``tokenizer.json``. Raises OSError, and ValueError or KeyError where it is damaged."""
        return cls(json.loads(path.read_bytes())["model"]["vocab"])

    def encode(self, text: str) -> list[int]:
        """The ids of a text's pieces."""
        return [piece for word in _words(text) for piece in self._pieces(word)]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _MOST_CHARS:
            return [self._unknown]
        found, begin = list[int](), 0
        while begin < len(word):
            prefix = "##" if begin else ""
            for end in range(len(word), begin, -1):
                piece = self._vocabulary.get(prefix + word[begin:end])
                if piece is not None:
                    found.append(piece)
                    begin = end
                    break
            else:
                return [self._unknown]
        return found


def _words(text: str) -> Iterator[str]:
    """Words, and each punctuation mark and each Han character by itself."""
    spaced = "".join(f" {char} " if _is_han(char) else char for char in map(_cleaned, text))
    plain = "".join(char for char in normalize("NFD", spaced) if category(char) != "Mn")
    for part in "".join(char.lower() for char in plain).split():
        word = ""
        for char in part:
            if char in _ASCII_PUNCTUATION or category(char).startswith("P"):
                if word:
                    yield word
                yield char
                word = ""
            else:
                word += char
        if word:
            yield word


def _cleaned(char: str) -> str:
    """Blanks of all kinds as one; nothing in place of what cannot be seen."""
    if (char.isspace() and category(char) != "Cc") or char in "\t\n\r":
        return " "
    return "" if char == "\ufffd" or category(char) in _UNSEEN else char


def _is_han(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _HAN) if char else False
