"""Which requests ask a question that may be answered by likeness, and which of them may be compared."""

from collections.abc import Mapping
from typing import Any, Final

from llm_service.domain import ModelRequest, fact

_SHAPED: Final = ("tools", "tool_choice", "functions", "function_call", "response_format", "prediction", "logprobs")
"""Fields whose answers are for programs, or hang on the very letters of the question."""
_LEFT_OUT: Final[Mapping[str, str]] = {"llm_service": "the question"}
"""In place of the text. No request means this: a content is a string, or a list of parts that have a type."""


@fact
class Question:
    """The text of a request's last message, and the digest of all the rest.

    Only questions of one ``bucket`` are compared: tenant, deployments, system prompt, earlier messages, all parameters
    and the message around the text are equal there.
    """

    bucket: bytes
    text: str


def without_question(request: ModelRequest, *, max_chars: int) -> tuple[str, Mapping[str, Any]] | None:
    """The text of the last message, and the body without it. ``None``: this request asks no such question.

    It is a chat whose last message is the user's and text alone, for a person to read: no tools, no schema.
    """
    body = request.body
    if request.operation != "chat" or any(body.get(name) is not None for name in _SHAPED):
        return None
    *before, last = body["messages"]
    content = last.get("content")
    alone = isinstance(content, str)
    text = content if alone else _only_text(content)
    if last["role"] != "user" or text is None or not text.strip() or len(text) > max_chars:
        return None
    rest = _LEFT_OUT if alone else [_LEFT_OUT]
    return text, {**body, "messages": [*before, {**last, "content": rest}]}


def _only_text(content: Any) -> str | None:
    """The text of a content that is one part of text, and nothing else."""
    if not isinstance(content, list) or len(content) != 1 or content[0].keys() != {"type", "text"}:
        return None
    text = content[0]["text"]
    return text if content[0]["type"] == "text" and isinstance(text, str) else None
