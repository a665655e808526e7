"""Messages as DeepSeek takes them: strings for content, ``system`` for ``developer``, reasoning handed back."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llm_service.domain import InvalidValue

_ROLES: Final[Mapping[str, str]] = {"developer": "system"}
_DROPPED: Final = frozenset({"reasoning", "reasoning_details", "annotations", "audio"})
_TEXT_PARTS: Final = frozenset({"text", "refusal"})


def translated(messages: Sequence[Mapping[str, Any]], *, images: bool, with_reasoning: bool) -> list[dict[str, Any]]:
    """The messages for a model that takes images or not.

    ``with_reasoning``: every assistant message must bring its ``reasoning_content``, empty where the client lost it
    (tools with thinking; otherwise DeepSeek answers 400). Raises InvalidValue, with the path of what cannot be sent.
    """
    return [
        _translated(message, f"messages[{index}]", images=images, with_reasoning=with_reasoning)
        for index, message in enumerate(messages)
    ]


def _translated(message: Mapping[str, Any], path: str, *, images: bool, with_reasoning: bool) -> dict[str, Any]:
    role = message.get("role")
    if role == "function":
        raise InvalidValue(
            f"'{path}.role' is 'function', which DeepSeek does not know: use 'tool'.", param=f"{path}.role"
        )
    made = {key: value for key, value in message.items() if key not in _DROPPED and value is not None}
    made["role"] = _ROLES.get(str(role), role)
    content = message.get("content")
    if isinstance(content, list):
        made["content"] = _joined(content, path, images=images and role == "user")
    elif content is None:
        made["content"] = None if message.get("tool_calls") else ""
    if role == "assistant":
        reasoning = _text(message, "reasoning_content", path) or _text(message, "reasoning", path)
        if with_reasoning or reasoning:
            made["reasoning_content"] = reasoning
    return made


def _joined(parts: Sequence[Mapping[str, Any]], path: str, *, images: bool) -> str | list[Mapping[str, Any]]:
    """One string of parts that all are text; the parts themselves where images may be among them."""
    texts: list[str] = []
    for index, part in enumerate(parts):
        kind = part.get("type")
        if isinstance(kind, str) and kind in _TEXT_PARTS:
            texts.append(_text(part, kind, f"{path}.content[{index}]"))
        elif images:
            return list(parts)
        else:
            where = f"{path}.content[{index}]"
            raise InvalidValue(
                f"'{where}' is of type {str(kind)[:40]!r}: DeepSeek takes text alone here, and images only in user "
                "messages to a model with vision.",
                param=where,
            )
    return "\n".join(texts)


def _text(holder: Mapping[str, Any], name: str, path: str) -> str:
    """The text of this name, empty where there is none. Raises InvalidValue for anything that is no text."""
    text = holder.get(name)
    if text is not None and not isinstance(text, str):
        raise InvalidValue(f"'{path}.{name}' must be a string: DeepSeek takes text alone.", param=f"{path}.{name}")
    return text or ""
