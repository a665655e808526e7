"""The most input tokens that a provider can bill for a request, without a tokenizer: for reservations.

A token stands for at least one byte of UTF-8, and JSON never needs fewer bytes for a text than UTF-8 does: escapes are
longer than what they stand for. So the length of the body as it was received bounds all text in it, token ids (a digit
and a comma each), names, and the frame of each message, for which the JSON around it is long enough. What a provider
adds of its own is bounded by the figures below. Media count by their own rules; their inline data is taken off.

Not bounded, since it is not in the request: what stands behind an address or an id (files, stored prompts), and what
a provider looks up for the model (web search).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from llm_service.domain import InvalidValue, ModelRequest
from llm_service.tokens.media import bounded_medium, is_medium

# What templates say of their own, as of 2026-11: a system prompt with a date (Llama, Qwen, gpt-oss: up to 90 tokens),
# the marks of a beginning and of an answer. With tools, how to call them: Anthropic states 313 to 530 tokens, the
# templates of DeepSeek and Qwen take up to 400.
_OWN_TOKENS: Final = 128
_MESSAGE_TOKENS: Final = 4
_TOOLS_TOKENS: Final = 768
_TOOL_TOKENS: Final = 16


def bound_input_tokens(request: ModelRequest, *, model: str, body_bytes: int | None = None) -> int:
    """At most so many input tokens. ``model``: the upstream's name of it, for its rule of images.

    ``body_bytes`` of the JSON as received saves measuring it (1 µs a KiB). For byte-level vocabularies (OpenAI,
    DeepSeek, Llama 3, Mistral, Qwen) and SentencePiece with byte fallback; one that normalises to compatibility forms
    (NFKC: T5, XLM-R) can make more tokens of a rare character than it has bytes. Raises InvalidValue for a body that is
    nested too deeply to be sent on.
    """
    tokens = (_written_bytes(request.body) if body_bytes is None else body_bytes) + _OWN_TOKENS
    if request.operation != "chat":
        return tokens
    body = request.body
    messages: Sequence[Mapping[str, object]] = body["messages"]
    tokens += _MESSAGE_TOKENS * len(messages)
    if request.is_text:
        return tokens
    for message in messages:
        content = message.get("content")
        if type(content) is list:
            tokens += _media(content, model)
    if tools := body.get("tools") or body.get("functions"):
        # Templates write tools with more blanks, line ends and escapes than the client did: twice their JSON is enough.
        tokens += _TOOLS_TOKENS + _TOOL_TOKENS * len(tools) + _written_bytes(tools)
    return tokens


def _media(parts: Sequence[Mapping[str, object]], model: str) -> int:
    """What the media of a message add to the length of the body; negative where their data is longer."""
    return sum(bounded_medium(part, model=model) for part in parts if is_medium(part))


def _written_bytes(value: object) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise InvalidValue("The body is nested too deeply: 250 levels are passed on.") from None
