"""What a request asks of a model, as attributes by our own words."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain import ModelRequest
from llm_service.observability.otlp.encoding import Value
from llm_service.observability.tracing.names import OPERATIONS

MAX_STOPS: Final = 16
_is_word: Final = re.compile(r"[A-Za-z0-9_.-]+").fullmatch
MOST: Final = 2**63
"""Whole numbers of attributes are signed and have 64 bits."""
_NUMBERS: Final = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty")
_OUTPUT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"text": "text", "json_object": "json", "json_schema": "json"}
)


def asked_of(request: ModelRequest, *, contents: bool) -> dict[str, Value]:
    """The operation and its parameters, those that are given. Fields that we do not know have passed unchecked.

    ``contents``: texts of the caller's own as well.
    """
    body = request.body
    asked: dict[str, Value] = {"operation": OPERATIONS[request.operation]}
    if request.operation == "embedding":
        return asked | _of_embedding(body)
    if request.stream:
        asked["stream"] = True
    asked |= _of_text(body)
    if contents and (stops := _texts(body.get("stop"))):
        asked["stop_sequences"] = stops
    return asked | _of_chat(body) if request.operation == "chat" else asked


def _of_text(body: Mapping[str, Any]) -> dict[str, Value]:
    asked: dict[str, Value] = {}
    for name in _NUMBERS:
        if (number := _number(body.get(name))) is not None:
            asked[name] = number
    if (most := _whole(body.get("max_completion_tokens") or body.get("max_tokens"))) is not None:
        asked["max_tokens"] = most
    if (seed := _whole(body.get("seed"))) is not None:
        asked["seed"] = seed
    if (count := _whole(body.get("n"))) is not None and count != 1:
        asked["choice_count"] = count
    if isinstance(tier := body.get("service_tier"), str) and _is_word(tier):
        asked["service_tier"] = tier
    return asked


def _of_embedding(body: Mapping[str, Any]) -> dict[str, Value]:
    asked: dict[str, Value] = {}
    if isinstance(form := body.get("encoding_format"), str) and _is_word(form):
        asked["encoding_formats"] = [form]
    if (dimensions := _whole(body.get("dimensions"))) is not None:
        asked["dimensions"] = dimensions
    return asked


def _of_chat(body: Mapping[str, Any]) -> dict[str, Value]:
    asked: dict[str, Value] = {"api_type": "chat_completions"}
    form = body.get("response_format")
    if isinstance(form, dict) and (kind := _OUTPUT_TYPES.get(str(form.get("type")))) is not None:
        asked["output_type"] = kind
    return asked


def _whole(value: Any) -> int | None:
    return value if type(value) is int and -MOST <= value < MOST else None


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and -MOST <= value < MOST else None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values[:MAX_STOPS] if isinstance(one, str)]
