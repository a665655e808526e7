"""How long a prompt surely is, and about: for those who refuse what is too long, and must not refuse what is not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from llm_service.domain import InvalidValue, ModelRequest, fact
from llm_service.tokens.base import Tokenizer
from llm_service.tokens.chat import plain_input
from llm_service.tokens.media import is_medium, medium_tokens

_MESSAGE_TOKENS: Final = 3
_CHARS_A_TOKEN: Final = 16
"""More than any vocabulary has for text on average; only runs of blanks have more."""
# What a template may take off: blanks at the ends of messages; tools in a notation that is shorter than their JSON
# (OpenAI charges 1/1.3 of it, docs/decisions/0006-tokenizers.md).
_LEAST_OF_TEXT: Final = 0.99
_LEAST_OF_TOOLS: Final = 0.7
# Of the estimate without a vocabulary: at most 2.2 times, on average 1.4 times the truth (the same record).
_LEAST_OF_ESTIMATE: Final = 1 / 2.2
_USUAL_OF_ESTIMATE: Final = 1 / 1.4


@fact
class PromptSize:
    """Tokens of a prompt. ``least``: it has no fewer; ``about``: as many, as far as can be known here.

    Media count nothing in either. ``most``: rather too many than too few, media by rules of thumb among them.
    """

    least: int
    about: int
    most: int


def prompt_size(request: ModelRequest, tokenizer: Tokenizer, *, model: str, up_to: int) -> PromptSize:
    """The size of a request's prompt. Of texts that surely have more than ``up_to`` tokens no more than that is read.

    Counted is what every provider shows its model: the content of messages, calls of tools, and tools. Thoughts that
    are handed back are left out: some providers drop them. Raises InvalidValue for tools that cannot be sent on.
    """
    if request.operation == "chat":
        texts, tools = list(_texts(request.body["messages"])), list(_tools(request.body))
        frame, ids = _MESSAGE_TOKENS * len(request.body["messages"]), 0
    else:
        found, ids = plain_input(request.body.get("prompt"), request.body.get("input"), request.body.get("suffix"))
        texts, tools, frame = list(found), [], 0
    whole = sum(map(len, texts))
    read = _cut(texts, up_to * _CHARS_A_TOKEN)
    of_texts, of_tools = tokenizer.count_all(read), tokenizer.count_all(tools)
    whole_texts = of_texts * whole // max(1, sum(map(len, read)))
    beside = frame + ids
    most = whole_texts + of_tools + beside + _media_tokens(request, model)
    if tokenizer.exact:
        least = int(_LEAST_OF_TEXT * of_texts + _LEAST_OF_TOOLS * of_tools)
        return PromptSize(least=least + ids, about=whole_texts + of_tools + beside, most=most)
    least = int(_LEAST_OF_ESTIMATE * (of_texts + of_tools))
    about = int(_USUAL_OF_ESTIMATE * (whole_texts + of_tools))
    return PromptSize(least=least + ids, about=about + beside, most=most)


def _texts(messages: Sequence[Mapping[str, object]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            yield from (text for part in content if isinstance(text := part.get("text"), str))
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function")
            if isinstance(function, Mapping):
                yield from (value for value in function.values() if isinstance(value, str))


def _media_tokens(request: ModelRequest, model: str) -> int:
    if request.operation != "chat":
        return 0
    contents = (message.get("content") for message in request.body["messages"])
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return sum(medium_tokens(part, model=model) for part in parts if is_medium(part))


def _tools(body: Mapping[str, object]) -> Iterator[str]:
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        try:
            yield orjson.dumps(tool).decode()
        except orjson.JSONEncodeError:
            raise InvalidValue("The body is nested too deeply: 250 levels are passed on.") from None


def _cut(texts: Sequence[str], chars: int) -> Sequence[str]:
    """The texts up to so many characters in all."""
    read: list[str] = []
    for text in texts:
        if chars <= 0:
            break
        read.append(text[:chars])
        chars -= len(text)
    return read
