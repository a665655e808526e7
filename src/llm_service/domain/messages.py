"""What a chat's messages are made of: parts of content by their types, calls of tools, the tools themselves."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain.checks import (
    Check,
    an_object,
    bounded,
    check_fields,
    each,
    fields,
    filled,
    flag,
    json_type,
    text,
    typed,
)
from llm_service.domain.errors import InvalidValue, MissingParameter

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PLAIN_ROLES: Final = ROLES - {"tool"}
"""Of messages that may be nothing but text."""
_ROLES_SAID: Final = "one of system, developer, user, assistant, tool, function"


def messages(name: str, value: Any) -> None:
    """A check of a chat's messages. Most say one thing in plain text, and there may be hundreds of them."""
    _is_list(name, value)
    bounded(name, value)
    for index, entry in enumerate(value):
        if not _is_plain_message(entry):
            message(f"{name}[{index}]", entry)


_is_list: Final = typed(list, "a list of messages")


def _is_plain_message(value: Any) -> bool:
    if type(value) is not dict or len(value) != 2 or type(value.get("content")) is not str:
        return False
    role = value.get("role")
    return type(role) is str and role in _PLAIN_ROLES


def message(path: str, value: Any) -> None:
    """A check of one message. Providers differ in what a message may lack; what all of them need must be there."""
    an_object(path, value)
    role = value.get("role")
    if role is None:
        raise MissingParameter(f"'{path}.role' is required: {_ROLES_SAID}.", param=f"{path}.role")
    if type(role) is not str or role not in ROLES:
        raise InvalidValue(f"'{path}.role' must be {_ROLES_SAID}.", param=f"{path}.role")
    if role == "tool" and all(value.get(name) is None for name in _TOOL_NAMED_BY):
        said = f"'{path}.tool_call_id' is required: which call this is the result of."
        raise MissingParameter(said, param=f"{path}.tool_call_id")
    check_fields(value, _MESSAGE, f"{path}.")


def _content(path: str, value: Any) -> None:
    if type(value) is list:
        bounded(path, value)
        for index, entry in enumerate(value):
            if not _is_plain(entry):
                _part(f"{path}[{index}]", entry)
    elif type(value) is not str:
        raise InvalidValue(f"'{path}' must be a string or a list of parts, not {json_type(value)}.", param=path)


def _is_plain(part: Any) -> bool:
    return type(part) is dict and len(part) == 2 and part.get("type") == "text" and type(part.get("text")) is str


def _part(path: str, value: Any) -> None:
    an_object(path, value)
    kind = value.get("type")
    if kind is not None:
        text(f"{path}.type", kind)
    if (needed := _NEEDED.get(kind)) is not None and value.get(needed) is None:
        raise MissingParameter(f"'{path}.{needed}' is required in a part of type {kind}.", param=f"{path}.{needed}")
    check_fields(value, _PARTS.get(kind, _ANY_PART), f"{path}.")


def _address_in(named: str) -> Check:
    """A check of an address: in an object, as OpenAI has it, or by itself, as some servers have it too."""
    is_object = fields({"url": text, "detail": text}, needed=("url",))

    def check(path: str, value: Any) -> None:
        if type(value) is dict:
            is_object(path, value)
        elif type(value) is not str:
            raise InvalidValue(
                f"'{path}' must be an object with the {named}'s 'url', not {json_type(value)}.", param=path
            )

    return check


def _tool_call(path: str, value: Any) -> None:
    _any_call(path, value)
    if value.get("type") == "function" and value.get("function") is None:
        raise MissingParameter(f"'{path}.function' is required in a call of a function.", param=f"{path}.function")


def tool(path: str, value: Any) -> None:
    """A check of a tool; of those that are no functions each provider has its own."""
    an_object(path, value)
    kind = value.get("type")
    if kind is not None and kind != "function":
        check_fields(value, _OTHER_TOOL, f"{path}.")
        return
    if value.get("function") is None:
        raise MissingParameter(f"'{path}.function' is required in a tool of type function.", param=f"{path}.function")
    check_fields(value, _TOOL, f"{path}.")


def tool_choice(path: str, value: Any) -> None:
    """A check of which tool is to be called: a word, or a tool by its name."""
    if type(value) is dict:
        if value.get("type") == "function" and value.get("function") is None and value.get("name") is None:
            said = f"'{path}.function' is required: an object with the function's 'name'."
            raise MissingParameter(said, param=f"{path}.function")
        check_fields(value, _CHOICE, f"{path}.")
    elif type(value) is not str:
        raise InvalidValue(f"'{path}' must be a string or an object, not {json_type(value)}.", param=path)


def response_format(path: str, value: Any) -> None:
    """A check of the form that an answer is to have."""
    an_object(path, value)
    if value.get("type") == "json_schema" and value.get("json_schema") is None and value.get("schema") is None:
        said = f"'{path}.json_schema' is required: an object with a 'name' and the 'schema'."
        raise MissingParameter(said, param=f"{path}.json_schema")
    check_fields(value, _FORMAT, f"{path}.")


_TOOL_NAMED_BY: Final = ("tool_call_id", "name", "tool_name")
"""How a result says which call it is of: OpenAI's way, and those of servers that go by the function's name.

Gemini's calls may have an empty id (seen 2026-11), which clients hand back."""
_ANY_PART: Final[Mapping[str, Check | None]] = MappingProxyType({"type": text})
_NEEDED: Final[Mapping[Any, str]] = MappingProxyType(
    {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file", "refusal": "refusal"}
)
_PARTS: Final[Mapping[Any, Mapping[str, Check | None]]] = MappingProxyType(
    {
        "text": {"type": None, "text": text},
        "refusal": {"type": None, "refusal": text},
        "image_url": {"type": None, "image_url": _address_in("image")},
        "video_url": {"type": None, "video_url": _address_in("video")},
        "audio_url": {"type": None, "audio_url": _address_in("recording")},
        "input_audio": {"type": None, "input_audio": fields({"data": text, "format": text}, needed=("data",))},
        "file": {"type": None, "file": fields({"file_id": text, "filename": text, "file_data": text})},
    }
)
_any_call: Final = fields(
    {
        "id": text,
        "type": text,
        "function": fields({"name": filled, "arguments": typed((str, dict), "a string of JSON")}, needed=("name",)),
    }
)
_MESSAGE: Final[Mapping[str, Check | None]] = MappingProxyType(
    {
        "role": None,
        "content": _content,
        "name": text,
        "refusal": text,
        "tool_calls": each(_tool_call, "a list of objects"),
        "tool_call_id": text,
        "function_call": fields({"name": text, "arguments": typed((str, dict), "a string of JSON")}),
        "audio": an_object,
        "reasoning": None,
        "reasoning_content": None,
        "reasoning_details": None,
        "images": each(_part, "a list of objects"),
        "prefix": flag,
    }
)
_function: Final = fields(
    {"name": filled, "description": text, "parameters": an_object, "strict": flag}, needed=("name",)
)
_TOOL: Final[Mapping[str, Check | None]] = MappingProxyType({"type": text, "function": _function})
_OTHER_TOOL: Final[Mapping[str, Check | None]] = MappingProxyType({"type": filled})
function: Final = fields({"name": filled, "description": text, "parameters": an_object}, needed=("name",))
_CHOICE: Final[Mapping[str, Check | None]] = MappingProxyType(
    {"type": text, "function": fields({"name": filled}, needed=("name",))}
)
_FORMAT: Final[Mapping[str, Check | None]] = MappingProxyType(
    {"type": text, "json_schema": fields({"name": text, "schema": an_object, "description": text, "strict": flag})}
)
