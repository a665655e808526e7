"""Embeddings: requests, and vectors that are close when their texts share words."""

from __future__ import annotations

import base64
import struct
from typing import Any, Final

from llm_service.domain import fact_in_order
from llm_service.sandbox.ask import BadField
from llm_service.sandbox.content.pieces import input_tokens
from llm_service.sandbox.content.vectors import vector_for
from llm_service.sandbox.messages import Json

MAX_DIMENSIONS: Final = 4096


@fact_in_order
class EmbeddingAsk:
    """What to embed; token lists are embedded by their numbers."""

    model: str
    texts: tuple[str, ...]
    input_tokens: int
    dimensions: int | None
    encoded: bool  # base64


def read_embedding(body: Json) -> EmbeddingAsk:
    """Read the body; raises BadField."""
    model, given = body.get("model"), body.get("input")
    if not isinstance(model, str):
        raise BadField("model", "required")
    single = isinstance(given, str) or (isinstance(given, list) and bool(given) and isinstance(given[0], int))
    inputs = [given] if single else given
    if not isinstance(inputs, list) or not inputs:
        raise BadField("input", "must be a string, a list of strings or lists of token ids")
    dimensions = body.get("dimensions")
    if dimensions is not None and (not isinstance(dimensions, int) or not 1 <= dimensions <= MAX_DIMENSIONS):
        raise BadField("dimensions", f"must be an integer from 1 to {MAX_DIMENSIONS}")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise BadField("encoding_format", "must be float or base64")
    counted = [_text_and_tokens(item) for item in inputs]
    tokens = sum(count for _, count in counted)
    return EmbeddingAsk(model, tuple(text for text, _ in counted), tokens, dimensions, encoding == "base64")


def embeddings(ask: EmbeddingAsk, *, seed: int, dimensions: int) -> list[Json]:
    """The `data` of an answer, in the order of the input."""
    made = []
    for index, text in enumerate(ask.texts):
        vector = vector_for(text, seed=seed, dimensions=ask.dimensions or dimensions)
        written: Any = vector
        if ask.encoded:
            written = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        made.append({"object": "embedding", "index": index, "embedding": written})
    return made


def _text_and_tokens(item: object) -> tuple[str, int]:
    if isinstance(item, str):
        if not item:
            raise BadField("input", "cannot be an empty string")
        return item, input_tokens(item)
    if isinstance(item, list) and item and all(isinstance(token, int) for token in item):
        return " ".join(str(token) for token in item), len(item)
    raise BadField("input", "must hold strings or lists of token ids")
