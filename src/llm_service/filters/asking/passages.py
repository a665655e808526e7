"""What is judged of a prompt or an answer, as texts in the order in which they stand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llm_service.filters.walk import together, units

_GAP = "\n"


class Passage(NamedTuple):
    """One text. ``who``: the role of the message that it is, else the field of the request that it stands in."""

    who: str
    text: str


def passages_of(body: Mapping[str, Any]) -> list[Passage]:
    """Everything of a request that a model could read, each message and each tool as one text."""
    return [*_passages(body)]


def passages_said(answer: Mapping[str, Any]) -> list[Passage]:
    """Everything that an answer's choices say: contents, thoughts, refusals, calls of tools."""
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return []
    told: dict[str, Any] = {
        "messages": [one["message"] for one in choices if isinstance(one.get("message"), dict)],
        "prompt": [one["text"] for one in choices if isinstance(one.get("text"), str)],
    }
    return [Passage("assistant", text) for _, text in _passages(told)]


def _passages(body: Mapping[str, Any]) -> Iterator[Passage]:
    for unit in units(body):
        text = together(unit.leaves, _GAP)
        if text.strip():
            yield Passage(_who(body, unit.where), text)


def _who(body: Mapping[str, Any], where: str | None) -> str:
    """Never a name that the request has invented: it would stand outside of the texts."""
    name, _, number = (where or "").partition("[")
    if name != "messages" or not number:
        return name or "other"
    message: Any = body["messages"][int(number[:-1])]
    role = message.get("role") if isinstance(message, dict) else None
    return str(role) if role in _ROLES else "other"


_ROLES: Sequence[str] = ("system", "developer", "user", "assistant", "tool", "function")
