"""JSON as the upstreams write it, and the small repairs that streams and whole answers share."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import orjson

from llm_service.domain import UpstreamInvalidResponse
from llm_service.streams import encode

FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
"""All that strict clients accept."""

FAILED_FINISHES: Final = frozenset({"error", "insufficient_system_resource", "abort"})
"""Finish reasons that say that the answer is broken, not finished."""

FINISH_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model_length": "length",
        "max_tokens": "length",
        "max_output_tokens": "length",
        "tool_use": "tool_calls",
        "tool_call": "tool_calls",
        "safety": "content_filter",
        "recitation": "content_filter",
        "blocklist": "content_filter",
        "prohibited_content": "content_filter",
        "refusal": "content_filter",
    }
)
"""Other words for the same, in small letters; any further word (``eos``, ``end_turn``, ``repetition``) is a stop."""


def decode(data: bytes) -> tuple[Any, bytes]:
    """The JSON value, and well-formed bytes of it: the same where they are. Raises UpstreamInvalidResponse."""
    try:
        return orjson.loads(data), data
    except orjson.JSONDecodeError:
        return lenient(data)


def lenient(data: bytes) -> tuple[Any, bytes]:
    """The same for JSON with what only some writers allow: half a surrogate pair; NaN, which becomes null."""
    try:
        value = json.loads(data, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise UpstreamInvalidResponse("The provider sent something that is not JSON.") from None
    return value, encode(value)


def is_failure(word: object) -> bool:
    """Whether a finish reason says that the answer is broken."""
    return isinstance(word, str) and word in FAILED_FINISHES


def finish_word(word: object) -> str | None:
    """A finish reason in OpenAI's words; ``None`` as long as there is none."""
    if not word:
        return None
    if isinstance(word, str) and word in FINISH_REASONS:
        return word
    return FINISH_WORDS.get(str(word).lower(), "stop")


def own_id(prefix: str, *parts: object) -> str:
    """An id of ours where the upstream gives none: the same for the same parts, and short enough for every client."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}{digest[:24]}"


def separated(blocks: Sequence[Any]) -> tuple[str, str]:
    """Text and reasoning of a content that is a list of blocks (Mistral)."""
    text: list[str] = []
    reasoning: list[str] = []
    for block in blocks:
        if not isinstance(block, Mapping):
            text.append(block if isinstance(block, str) else "")
        elif "thinking" in block:
            inner = block["thinking"]
            reasoning.append(inner if isinstance(inner, str) else separated(inner or ())[0])
        else:
            inner = block.get("text")
            text.append(inner if isinstance(inner, str) else "")
    return "".join(text), "".join(reasoning)


def unblocked(holder: dict[str, Any]) -> bool:
    """Turn the list content of a message or delta into strings; whether there was one."""
    blocks = holder.get("content")
    if not isinstance(blocks, list):
        return False
    text, reasoning = separated(blocks)
    holder["content"] = text
    if reasoning:
        holder["reasoning_content"] = (holder.get("reasoning_content") or "") + reasoning
    return True


def argument_text(arguments: object) -> str:
    """Tool arguments as a string, also where the upstream sends the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else encode(arguments).decode()
