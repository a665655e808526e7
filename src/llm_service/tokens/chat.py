"""Takes a chat request apart into what is counted: its texts, its media, and the frame a provider puts around them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from llm_service.domain import fact_in_order
from llm_service.tokens.media import is_medium

# OpenAI's published rule for its chat models (cookbook, "How to count tokens with tiktoken", as of 2026-11): three
# tokens frame a message, one more a name, three open the answer. Other providers' templates need one to four a message.
_MESSAGE_TOKENS: Final = 3
_NAME_TOKENS: Final = 1
_ANSWER_TOKENS: Final = 3
# Ours: OpenAI renders tools and calls in a notation of its own that is shorter than their JSON; templates of other
# providers explain in some hundred tokens how to call, of which only a part is charged here.
_TOOLS_TOKENS: Final = 16
_TOOL_CALL_TOKENS: Final = 8

# Never shown to a model: links between messages, kinds, and marks for the provider.
_UNSEEN: Final = frozenset({"type", "id", "tool_call_id", "index", "format", "signature", "cache_control"})
# The same reasoning under several names; the first that is there is counted.
_REASONING: Final = ("reasoning_details", "reasoning_content", "reasoning")


@fact_in_order
class Prompt:
    """What the provider makes a prompt of."""

    texts: Sequence[str]
    media: Sequence[Mapping[str, object]]
    frame_tokens: int


def take_apart(messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]] | None) -> Prompt:
    """All text of the messages, wherever it stands in them, and each tool as compact JSON.

    Fields unknown here count as text too: a request is rather counted too high than too low.
    """
    texts: list[str] = []
    media: list[Mapping[str, object]] = []
    for message in messages:
        for leaf in _leaves(_once_reasoned(message)):
            if isinstance(leaf, str):
                texts.append(leaf)
            else:
                media.append(leaf)
    texts.extend(json.dumps(tool, ensure_ascii=False, separators=(",", ":")) for tool in tools or ())
    frame_tokens = _ANSWER_TOKENS + sum(map(_frame_tokens, messages)) + (_TOOLS_TOKENS if tools else 0)
    return Prompt(texts, media, frame_tokens)


def plain_input(*inputs: object) -> tuple[Sequence[str], int]:
    """The texts of a prompt or of what is to be embedded, and how many token ids stand beside them."""
    texts: list[str] = []
    ids = 0
    waiting: list[object] = list(inputs)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, int):
            ids += 1
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, Sequence):
            waiting.extend(value)
    return texts, ids


def _frame_tokens(message: Mapping[str, object]) -> int:
    calls = message.get("tool_calls")
    call_count = (
        len(calls) if isinstance(calls, Sequence) and not isinstance(calls, str) else "function_call" in message
    )
    return _MESSAGE_TOKENS + ("name" in message) * _NAME_TOKENS + call_count * _TOOL_CALL_TOKENS


def _once_reasoned(message: Mapping[str, object]) -> Mapping[str, object]:
    spellings = [name for name in _REASONING if message.get(name)]
    return {key: value for key, value in message.items() if key not in spellings[1:]}


def _leaves(message: Mapping[str, object]) -> Iterator[str | Mapping[str, object]]:
    """Texts and media in ``message``; a loop, since a depth that JSON allows need not fit the call stack."""
    waiting: list[object] = [message]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            if is_medium(value):
                yield value
            else:
                waiting.extend(inner for key, inner in value.items() if key not in _UNSEEN)
        elif isinstance(value, Sequence):
            waiting.extend(value)
