"""What callers ask for: chat, text completion, embeddings. Typed where we look; other fields ride along untouched."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from llm_service.domain.errors import InvalidValue, MissingParameter
from llm_service.domain.fact import fact

Operation = Literal["chat", "completion", "embedding"]
Body = Mapping[str, Any]
MAX_MODELS: Final = 32
MAX_NAME_CHARS: Final = 512  # names of models go into response headers and log lines


@fact
class ModelRequest:
    """One request for a model. ``body`` is the whole decoded object as received; nobody changes it.

    ``models``: further models that would do, in order. ``include_usage``: a stream ends with its token counts.
    ``user``: the client's own name for its end user. ``body_bytes``: length of the body as received.
    """

    operation: Operation
    model: str
    models: tuple[str, ...]
    stream: bool
    include_usage: bool
    user: str | None
    body: Body
    body_bytes: int = 0


def chat_request(body: Body, body_bytes: int = 0) -> ModelRequest:
    """A chat request from the body of ``POST /v1/chat/completions``, and its length as received.

    Raises MissingParameter and InvalidValue, with the field's path in ``param``.
    """
    request = _request("chat", body, _CHAT_FIELDS, body_bytes)
    messages = body.get("messages")
    if messages is None:
        raise MissingParameter("'messages' is required: a list of messages.", param="messages")
    if not messages:
        raise InvalidValue("'messages' must hold at least one message.", param="messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    return request


def completion_request(body: Body, body_bytes: int = 0) -> ModelRequest:
    """A text completion request from the body of ``POST /v1/completions``; raises like :func:`chat_request`."""
    request = _request("completion", body, _COMPLETION_FIELDS, body_bytes)
    if body.get("prompt") is None:
        raise MissingParameter("'prompt' is required: a string, or a list of strings or token ids.", param="prompt")
    return request


def embedding_request(body: Body, body_bytes: int = 0) -> ModelRequest:
    """An embedding request from the body of ``POST /v1/embeddings``; raises like :func:`chat_request`."""
    request = _request("embedding", body, _EMBEDDING_FIELDS, body_bytes)
    if body.get("input") is None:
        raise MissingParameter("'input' is required: a string, or a list of strings or token ids.", param="input")
    return request


def _request(operation: Operation, body: Body, fields: Mapping[str, "Check"], body_bytes: int) -> ModelRequest:
    for name, value in body.items():
        check = fields.get(name)
        if check is not None and value is not None:
            check(name, value)
    models = tuple(body.get("models") or ())
    model = body.get("model") or (models[0] if models else None)
    if model is None:
        raise MissingParameter("'model' is required: GET /v1/models lists the names.", param="model")
    options = body.get("stream_options") or {}
    return ModelRequest(
        operation=operation,
        model=model,
        models=models,
        stream=bool(body.get("stream")) and operation != "embedding",
        include_usage=bool(options.get("include_usage")),
        user=body.get("user"),
        body=body,
        body_bytes=body_bytes,
    )


Check = Callable[[str, Any], None]


def _typed(kinds: type | tuple[type, ...], said: str) -> Check:
    """A check of a field's JSON type; ``bool`` passes for a number nowhere."""
    expected = kinds if isinstance(kinds, tuple) else (kinds,)

    def check(name: str, value: Any) -> None:
        if type(value) not in expected:
            raise InvalidValue(f"'{name}' must be {said}, not {_json_type(value)}.", param=name)

    return check


def _count(name: str, value: Any) -> None:
    if type(value) is not int:
        raise InvalidValue(f"'{name}' must be an integer, not {_json_type(value)}.", param=name)
    if value < 1:
        raise InvalidValue(f"'{name}' must be at least 1, not {value}.", param=name)


def _text(name: str, value: Any) -> None:
    if type(value) is not str:
        raise InvalidValue(f"'{name}' must be a string, not {_json_type(value)}.", param=name)


def _name(name: str, value: Any) -> None:
    _text(name, value)
    if not value.strip():
        raise InvalidValue(f"'{name}' must not be empty.", param=name)
    if len(value) > MAX_NAME_CHARS:
        raise InvalidValue(f"'{name}' must not be longer than {MAX_NAME_CHARS} characters.", param=name)


def _names(name: str, value: Any) -> None:
    _typed(list, "a list of model names")(name, value)
    if len(value) > MAX_MODELS:
        raise InvalidValue(f"'{name}' must not name more than {MAX_MODELS} models.", param=name)
    for index, entry in enumerate(value):
        _name(f"{name}[{index}]", entry)


def _objects(name: str, value: Any) -> None:
    _typed(list, "a list of objects")(name, value)
    for index, entry in enumerate(value):
        if type(entry) is not dict:
            where = f"{name}[{index}]"
            raise InvalidValue(f"'{where}' must be an object, not {_json_type(entry)}.", param=where)


def _stream_options(name: str, value: Any) -> None:
    _typed(dict, "an object")(name, value)
    include_usage = value.get("include_usage")
    if include_usage is not None and type(include_usage) is not bool:
        param = f"{name}.include_usage"
        raise InvalidValue(f"'{param}' must be true or false, not {_json_type(include_usage)}.", param=param)


def _check_message(message: Any, path: str) -> None:
    if type(message) is not dict:
        raise InvalidValue(f"'{path}' must be an object, not {_json_type(message)}.", param=path)
    role = message.get("role")
    if role is None:
        raise MissingParameter(f"'{path}.role' is required: {_ROLES_SAID}.", param=f"{path}.role")
    if type(role) is not str or role not in ROLES:
        raise InvalidValue(f"'{path}.role' must be {_ROLES_SAID}.", param=f"{path}.role")
    content = message.get("content")
    if type(content) is list:
        _objects(f"{path}.content", content)
    elif content is not None and type(content) is not str:
        where = f"{path}.content"
        raise InvalidValue(f"'{where}' must be a string or a list of parts, not {_json_type(content)}.", param=where)
    if message.get("tool_calls") is not None:
        _objects(f"{path}.tool_calls", message["tool_calls"])


def _json_type(value: Any) -> str:
    return _JSON_TYPES.get(type(value), "null")


ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_ROLES_SAID: Final = "one of system, developer, user, assistant, tool, function"
_JSON_TYPES: Final[Mapping[type, str]] = MappingProxyType(
    {str: "a string", int: "an integer", float: "a number", bool: "a boolean", list: "a list", dict: "an object"}
)
_number: Final = _typed((int, float), "a number")
_flag: Final = _typed(bool, "true or false")
_object: Final = _typed(dict, "an object")
_SHARED_FIELDS: Final[Mapping[str, Check]] = MappingProxyType({"model": _name, "models": _names, "user": _text})
_SAMPLING_FIELDS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "stream": _flag,
        "stream_options": _stream_options,
        "temperature": _number,
        "top_p": _number,
        "frequency_penalty": _number,
        "presence_penalty": _number,
        "n": _count,
        "max_tokens": _count,
        "max_completion_tokens": _count,
        "seed": _typed(int, "an integer"),
        "stop": _typed((str, list), "a string or a list of strings"),
        "logit_bias": _object,
    }
)
_CHAT_FIELDS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        **_SHARED_FIELDS,
        **_SAMPLING_FIELDS,
        "messages": _typed(list, "a list of messages"),
        "tools": _objects,
        "tool_choice": _typed((str, dict), "a string or an object"),
        "parallel_tool_calls": _flag,
        "response_format": _object,
        "logprobs": _flag,
        "top_logprobs": _typed(int, "an integer"),
        "reasoning_effort": _text,
        "metadata": _object,
    }
)
_COMPLETION_FIELDS: Final[Mapping[str, Check]] = MappingProxyType(
    {**_SHARED_FIELDS, **_SAMPLING_FIELDS, "prompt": _typed((str, list), "a string or a list"), "suffix": _text}
)
_EMBEDDING_FIELDS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        **_SHARED_FIELDS,
        "input": _typed((str, list), "a string or a list"),
        "dimensions": _count,
        "encoding_format": _text,
    }
)
