"""What DeepSeek cannot do and is not quietly ignored; why: docs/decisions/0007-what-a-provider-lacks.md."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from llm_service.domain import InvalidValue, ModelRequest

Check = Callable[[str, Any], None]


def refuse_what_it_lacks(request: ModelRequest) -> None:
    """Raises InvalidValue, naming the field, for a request whose answer would not be what it asks for."""
    if request.operation == "embedding":
        raise InvalidValue("DeepSeek has no embeddings: ask for a model of another provider.", param="model")
    for name, check in _CHECKS.items():
        value = request.body.get(name)
        if value is not None:
            check(name, value)


def _refuse(name: str, why: str) -> NoReturn:
    raise InvalidValue(f"'{name}' {why}", param=name)


def _one(name: str, value: Any) -> None:
    if value != 1:
        _refuse(name, "must be 1: DeepSeek gives one answer per request.")


def _text_only(name: str, value: Any) -> None:
    if value != ["text"]:
        _refuse(name, "must be ['text']: DeepSeek answers in text alone.")


def _lacking(name: str, value: Any) -> None:
    if value:
        _refuse(name, "is not something that DeepSeek can do.")


def _use_tools(name: str, value: Any) -> None:
    _refuse(name, "is an old form that DeepSeek does not know: use 'tools' and 'tool_choice'.")


def _format(name: str, value: Any) -> None:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind not in ("text", "json_object"):
        _refuse(f"{name}.type", "must be 'text' or 'json_object': DeepSeek keeps to no JSON schema.")


def _functions(name: str, value: Any) -> None:
    for index, tool in enumerate(value):
        if tool.get("type") != "function":
            _refuse(f"{name}[{index}].type", "must be 'function': DeepSeek has no other tools.")


def _choice(name: str, value: Any) -> None:
    if isinstance(value, Mapping) and value.get("type") != "function":
        _refuse(f"{name}.type", "must be 'function': DeepSeek has no other tools.")


def _one_prompt(name: str, value: Any) -> None:
    if isinstance(value, list) and not (len(value) == 1 and isinstance(value[0], str)):
        _refuse(name, "must be one string: DeepSeek takes neither token ids nor several prompts.")


def _reasoning(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        _refuse(name, "must be an object, of which DeepSeek takes 'effort' and 'enabled'.")
    enabled, effort = value.get("enabled"), value.get("effort")
    if enabled is not None and not isinstance(enabled, bool):
        _refuse(f"{name}.enabled", "must be true or false: DeepSeek thinks or does not.")
    if effort is not None:
        _effort(f"{name}.effort", effort)


def _effort(name: str, value: Any) -> None:
    if not isinstance(value, str):
        _refuse(name, "must be a string: DeepSeek knows efforts by name.")


_CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "n": _one,
        "best_of": _one,
        "modalities": _text_only,
        "audio": _lacking,
        "web_search_options": _lacking,
        "functions": _use_tools,
        "function_call": _use_tools,
        "response_format": _format,
        "tools": _functions,
        "tool_choice": _choice,
        "prompt": _one_prompt,
        "reasoning": _reasoning,
        "reasoning_effort": _effort,
    }
)
