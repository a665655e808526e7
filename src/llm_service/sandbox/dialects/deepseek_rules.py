"""What DeepSeek refuses although it looks like a chat request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from llm_service.sandbox.ask import Ask
from llm_service.sandbox.dialects.deepseek_models import MAX_OUTPUT_TOKENS
from llm_service.sandbox.dialects.errors import Refusal
from llm_service.sandbox.messages import Json

_ROLES: Final = ("system", "user", "assistant", "tool")
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_USER_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,512}")
_MAX_TOOLS: Final = 128
_MAX_STOPS: Final = 16


def check(ask: Ask, *, thinks: bool, vision: bool, beta: bool) -> None:
    """Raise the first refusal that applies."""
    for refusal in _refusals(ask, thinks=thinks, vision=vision, beta=beta):
        raise refusal


def _refusals(ask: Ask, *, thinks: bool, vision: bool, beta: bool) -> Iterator[Refusal]:
    if ask.output_cap is not None and ask.output_cap > MAX_OUTPUT_TOKENS:
        yield Refusal("422")
    yield from _format_refusals(ask)
    yield from _tool_refusals(ask.body.get("tools") or [])
    for index, message in enumerate(ask.messages):
        yield from _message_refusals(index, message, vision=vision)
        if message.get("prefix") and not beta:
            yield Refusal("400", message="prefix is a beta feature: use base_url https://api.deepseek.com/beta")
    yield from _missing_outputs(ask.messages)
    if ask.tools and thinks and any(_lost_its_thoughts(message) for message in ask.messages):
        yield Refusal("400-reasoning-content")


def _format_refusals(ask: Ask) -> Iterator[Refusal]:
    if ask.response_format not in ("text", "json_object"):
        yield Refusal("400", message="This response_format type is unavailable now")
    if ask.response_format == "json_object" and not ask.says_json:
        text = "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'."
        yield Refusal("400", message=text)
    if len(ask.stop) > _MAX_STOPS:
        yield Refusal("400", message=f"Invalid stop: at most {_MAX_STOPS} sequences")
    temperature = ask.body.get("temperature")
    if isinstance(temperature, int | float) and not 0 <= temperature <= 2:
        yield Refusal("400", message="Invalid temperature value, the valid range of temperature is [0, 2]")
    user_id = ask.body.get("user_id")
    if user_id is not None and not (isinstance(user_id, str) and _USER_ID.fullmatch(user_id)):
        yield Refusal("400", message="Invalid user_id: expected [a-zA-Z0-9_-]+ of at most 512 characters")


def _tool_refusals(tools: list[Any]) -> Iterator[Refusal]:
    if len(tools) > _MAX_TOOLS:
        yield Refusal("400", message=f"Invalid tools: at most {_MAX_TOOLS} functions")
    for index, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind != "function":
            yield Refusal("400", message=f"tools[{index}].type: unknown variant `{kind}`, expected `function`")
        elif not isinstance(function := tool.get("function"), dict):
            yield Refusal("400-json", detail=f"tools[{index}].function: invalid type, expected an object")
        elif not _TOOL_NAME.fullmatch(str(function.get("name"))):
            yield Refusal("400", message=f"Invalid 'tools[{index}].function.name': does not match '^[a-zA-Z0-9_-]+$'")


def _message_refusals(index: int, message: Json, *, vision: bool) -> Iterator[Refusal]:
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        variants = ", ".join(f"`{name}`" for name in _ROLES)
        yield Refusal("400", message=f"messages[{index}].role: unknown variant `{role}`, expected one of {variants}")
    if isinstance(content, list) and not (vision and role == "user"):
        yield Refusal("400-content-type", index=index)
    if role == "assistant" and content is None and not message.get("tool_calls"):
        yield Refusal("400-empty-assistant")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield Refusal("400", message=f"messages[{index}]: missing field `tool_call_id`")


def _missing_outputs(messages: tuple[Json, ...]) -> Iterator[Refusal]:
    """Every call of an assistant message must be answered by the tool messages right behind it."""
    waiting: list[str] = []
    for message in messages:
        if message.get("role") == "tool":
            waiting = [call_id for call_id in waiting if call_id != message.get("tool_call_id")]
        elif waiting:
            break
        else:
            waiting = [str(call.get("id")) for call in message.get("tool_calls") or () if isinstance(call, dict)]
    for call_id in waiting:
        yield Refusal("400-tool-output", call_id=call_id)


def _lost_its_thoughts(message: Json) -> bool:
    return message.get("role") == "assistant" and not isinstance(message.get("reasoning_content"), str)
