"""From a typed input to the body that REST would have had, and to the options that its headers would have said."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Final

import orjson
import strawberry

from llm_service.api.call_options import (
    CallOptions,
    Place,
    TraceHeaders,
    idempotency_key_in,
    on_disconnect_in,
    tags_in,
    timeout_s_in,
    user_in,
)
from llm_service.api.graphql.chat_inputs import (
    CallOptionsInput,
    ChatInput,
    EmbedInput,
    MessageInput,
    ReasoningInput,
    ToolChoiceInput,
)
from llm_service.domain import (
    ANY_ANSWER,
    NO_TAGS,
    InvalidValue,
    ModelRequest,
    cache_control,
    chat_request,
    embedding_request,
)

Fields = dict[str, Any]
OURS: Final = frozenset({"stream", "stream_options"})
"""Fields of the body that the operation decides."""


def chat_request_of(given: ChatInput, *, stream: bool) -> ModelRequest:
    """The request. Raises InvalidValue and MissingParameter, with OpenAI's name of the field in ``param``."""
    body = _plain(given, without=("options", "extra", "messages", "tool_choice", "reasoning"))
    body["messages"] = [_message(message, f"messages[{at}]") for at, message in enumerate(given.messages)]
    if given.tool_choice is not None:
        body["tool_choice"] = _tool_choice(given.tool_choice)
    if given.reasoning is not None:
        body |= _reasoning(given.reasoning)
    _add_extra(body, given.extra, "extra")
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat_request(body, _size(body))


def embedding_request_of(given: EmbedInput) -> ModelRequest:
    """The request; raises as ``chat_request_of``."""
    body = {**_plain(given, without=("options", "extra")), "encoding_format": "float"}
    _add_extra(body, given.extra, "extra")
    return embedding_request(body, _size(body))


def options_of(given: CallOptionsInput | None) -> CallOptions:
    """What is said beside the request. Raises InvalidValue."""
    if given is None:
        return CallOptions()
    key, user, ends = given.idempotency_key, given.user, given.on_disconnect
    return CallOptions(
        timeout_s=None if given.timeout_s is None else timeout_s_in(given.timeout_s, _place("timeoutS")),
        user=None if user is None else user_in(user, _place("user")),
        tags=NO_TAGS if given.tags is None else _tags(given.tags),
        control=ANY_ANSWER if given.cache_control is None else cache_control(given.cache_control),
        idempotency_key=None if key is None else idempotency_key_in(key, _place("idempotencyKey")),
        on_disconnect=None if ends is None else on_disconnect_in(ends.value, _place("onDisconnect")),
        trace=TraceHeaders(given.traceparent, given.tracestate),
    )


def _tags(given: list[Any]) -> Mapping[str, str]:
    place = _place("tags")
    return tags_in({tag.name: tag.value for tag in given}, place, such_as='{name: "team", value: "search"}')


def _place(name: str) -> Place:
    return Place(f"'options.{name}'", f"options.{name}")


def _message(given: MessageInput, path: str) -> Fields:
    if given.content is not None and given.parts is not None:
        raise InvalidValue(f"'{path}' has either content or parts, not both.", param=f"{path}.parts")
    message = _plain(given, without=("parts", "extra"))
    message["content"] = given.content if given.parts is None else given.parts
    _add_extra(message, given.extra, f"{path}.extra")
    return message


def _tool_choice(given: ToolChoiceInput) -> str | Fields:
    if given.function:
        return {"type": "function", "function": {"name": given.function}}
    return given.mode.value if given.mode else "auto"


def _reasoning(given: ReasoningInput) -> Fields:
    """The effort alone under OpenAI's name, which all understand; more of it as OpenRouter has it."""
    said = _plain(given)
    if set(said) == {"effort"}:
        return {"reasoning_effort": said["effort"]}
    return {"reasoning": said} if said else {}


def _add_extra(body: Fields, extra: object, path: str) -> None:
    if extra is None:
        return
    if not isinstance(extra, dict):
        raise InvalidValue(f"'{path}' must be an object.", param=path)
    for name, value in extra.items():
        if name in OURS or body.get(name) is not None:
            said = "is decided by the operation" if name in OURS else "has a field of its own, which is given"
            raise InvalidValue(f"'{path}.{name[:64]}' {said}.", param=f"{path}.{name[:64]}")
        body[name] = value


def _plain(given: Any, without: tuple[str, ...] = ()) -> Fields:
    """What is given of an input, by OpenAI's names."""
    return {
        name: value if type(value) is str else _value(value)
        for name, value in vars(given).items()
        if value is not None and value is not strawberry.UNSET and name not in without
    }


def _value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [_value(item) for item in value]
    return _plain(value) if is_dataclass(value) else value


def _size(body: Fields) -> int:
    """Bytes of the body that REST would have had. Raises InvalidValue for what is no JSON."""
    try:
        return len(orjson.dumps(body))
    except (orjson.JSONEncodeError, RecursionError):
        raise InvalidValue("The input is nested too deeply, or is no JSON.", param="input") from None
