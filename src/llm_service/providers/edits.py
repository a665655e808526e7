"""Changes of a chat request that some servers need. Each takes a body of our own and replaces what it changes."""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from llm_service.domain import InvalidValue

_MISTRAL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")


def no_names(body: dict[str, Any]) -> None:
    """No ``name`` on messages (Groq answers 400)."""
    _replace_messages(body, lambda message: _without(message, "name"))


def names_on_tool_results_only(body: dict[str, Any]) -> None:
    """``name`` only where the role is ``tool`` (Mistral)."""
    _replace_messages(body, lambda message: message if message.get("role") == "tool" else _without(message, "name"))


def no_empty_assistants(body: dict[str, Any]) -> None:
    """No assistant messages that say nothing (Mistral)."""
    messages = body.get("messages")
    if isinstance(messages, list):
        body["messages"] = [message for message in messages if not _is_empty_assistant(message)]


def any_tool_for_required(body: dict[str, Any]) -> None:
    """``any`` is Mistral's word for a required tool call."""
    if body.get("tool_choice") == "required":
        body["tool_choice"] = "any"


def plain_schemas(body: dict[str, Any]) -> None:
    """JSON schemas without ``$id`` and ``$schema`` (Mistral)."""
    for name in ("tools", "response_format"):
        if body.get(name):
            try:
                body[name] = _plain(body[name])
            except RecursionError:
                raise InvalidValue(f"'{name}' is nested too deeply for the provider.", param=name) from None


def short_tool_ids(body: dict[str, Any]) -> None:
    """Ids of tool calls in exactly nine letters and digits (Mistral), the same for the same id in every request.

    Ids that already are so, Mistral's own, stay. The client keeps its ids: answers bring none of the old ones back.
    """
    table: dict[str, str] = {}
    taken = {call_id for call_id in _tool_ids(body) if _MISTRAL_ID.fullmatch(call_id)}
    for call_id in _tool_ids(body):
        if call_id not in table:
            table[call_id] = call_id if call_id in taken else _short(call_id, taken)
            taken.add(table[call_id])
    if any(old != new for old, new in table.items()):
        _replace_messages(body, lambda message: _with_ids(message, table))


def _short(call_id: str, taken: set[str]) -> str:
    turn = 0
    while True:
        digest = hashlib.sha256(f"{turn}/{call_id}".encode("utf-8", "surrogatepass")).hexdigest()[:9]
        if digest not in taken:
            return digest
        turn += 1


def _tool_ids(body: dict[str, Any]) -> list[str]:
    ids: list[str] = []
    for message in body.get("messages") or ():
        named = [call.get("id") for call in message.get("tool_calls") or ()]
        ids += [one for one in (*named, message.get("tool_call_id")) if isinstance(one, str)]
    return ids


def _with_ids(message: dict[str, Any], table: dict[str, str]) -> dict[str, Any]:
    made = dict(message)
    if message.get("tool_calls"):
        calls = message["tool_calls"]
        made["tool_calls"] = [{**call, "id": table[call["id"]]} if _has_text(call, "id") else call for call in calls]
    if _has_text(message, "tool_call_id"):
        made["tool_call_id"] = table[message["tool_call_id"]]
    return made


def _has_text(holder: dict[str, Any], name: str) -> bool:
    return isinstance(holder.get(name), str)


def _is_empty_assistant(message: dict[str, Any]) -> bool:
    return message.get("role") == "assistant" and not message.get("content") and not message.get("tool_calls")


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key not in ("$id", "$schema")}
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema


def _without(message: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != name} if name in message else message


def _replace_messages(body: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    messages = body.get("messages")
    if isinstance(messages, list):
        body["messages"] = [change(message) for message in messages]
