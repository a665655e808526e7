"""Pieces of words; what is expected here was made by Hugging Face's tokenizers 0.23.3 (2026-11-26)."""

import pytest

from llm_service.cache.semantic.embedder import _VOCABULARY
from llm_service.cache.semantic.wordpiece import WordPiece

GOLDEN = {
    "Is it safe to take ibuprofen with alcohol?": [
        2003, 2009, 3647, 2000, 2202, 21307, 6279, 3217, 18940, 2007, 6544, 1029,
    ],
    "你好 world 日本": [100, 100, 2088, 1864, 1876],
    "   multiple   spaces\n\ttabs": [3674, 7258, 21628, 2015],
    "emoji 😀 end": [7861, 29147, 2072, 100, 2203],
    "\x00\ufffd x\u200b y": [1060, 1061],
    "İstanbul ﬁne Ⅳ": [9960, 1984, 2638, 100],
    "한국어 텍스트": [
        1469, 30006, 30021, 29991, 30014, 30020, 29999, 30008, 1467, 30009, 30020, 29997, 30017, 30003, 30017,
    ],
    "a" * 150: [100],
    "": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece.of_file(_VOCABULARY)


@pytest.mark.parametrize("text", GOLDEN, ids=ascii)
def test_it_gives_the_same_ids_as_the_reference(text: str, tokenizer: WordPiece) -> None:
    assert tokenizer.encode(text) == GOLDEN[text]


def test_special_tokens_in_a_text_are_mere_text(tokenizer: WordPiece) -> None:
    assert tokenizer.encode("[SEP]") == [1031, 19802, 1033]
