"""Each tokenizer counts any text, and never more tokens than it has bytes."""

from functools import cache

from llm_service.tokens import Tokenizers, TokenizerUnavailable
from llm_service.tokens.base import well_formed

_MODELS = ("gpt-4o", "gpt-4", "deepseek-chat", "llama-3")


@cache
def tokenizers() -> Tokenizers:
    return Tokenizers(on_fallback=refuse)


def refuse(fault: TokenizerUnavailable) -> None:
    raise fault


def one(data: bytes) -> None:
    """``data``: a text, with halves of surrogate pairs where it is not UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    for model in _MODELS:
        counted = tokenizers().count_text(model, text)
        assert counted.tokens >= 0
        if not counted.estimated:
            assert counted.tokens <= len(well_formed(text).encode())
