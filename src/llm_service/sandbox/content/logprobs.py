"""Log probabilities that nobody computed, in the shapes of both APIs."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from llm_service.sandbox.messages import Json

_OTHERS: Final = (" the", " a", ".", ",", " and", " of", " to", " in", " is", " it", "\n", " so", " but", " or", " at",
                  " on", " by", " we", " I", " no")  # fmt: skip


def chat_logprobs(tokens: Iterable[str], top: int) -> Json:
    """`choices[].logprobs` of chat completions."""
    return {"content": [_token(token, top) for token in tokens], "refusal": None}


def text_logprobs(tokens: Sequence[str], top: int) -> Json:
    """`choices[].logprobs` of legacy completions."""
    offsets = [sum(len(token) for token in tokens[:at]) for at in range(len(tokens))]
    return {
        "tokens": list(tokens),
        "token_logprobs": [_logprob(token) for token in tokens],
        "top_logprobs": [dict(_ranked(token, top)) for token in tokens] if top else None,
        "text_offset": offsets,
    }


def _token(token: str, top: int) -> Json:
    ranked = [{"token": text, "logprob": value, "bytes": list(text.encode())} for text, value in _ranked(token, top)]
    return {"token": token, "logprob": _logprob(token), "bytes": list(token.encode()), "top_logprobs": ranked}


def _ranked(token: str, top: int) -> list[tuple[str, float]]:
    others = [text for text in _OTHERS if text != token][: max(0, top - 1)]
    first = _logprob(token)
    ranked = [(token, first), *((text, round(first - 1 - place, 4)) for place, text in enumerate(others))]
    return ranked[:top]


def _logprob(token: str) -> float:
    return -(zlib.crc32(token.encode()) % 900 + 1) / 1000
