"""What callers ask for: chat, text completion, embeddings. Typed where we look; other fields ride along untouched."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from llm_service.domain import messages as of_chats
from llm_service.domain.checks import (
    SHOWN_CHARS,
    Check,
    an_object,
    at_least,
    between,
    bounded,
    check_fields,
    count,
    each,
    fields,
    flag,
    json_type,
    model_name,
    number,
    text,
    text_or_each,
    typed,
    whole,
)
from llm_service.domain.errors import InvalidValue, MissingParameter
from llm_service.domain.fact import fact

Operation = Literal["chat", "completion", "embedding"]
Body = Mapping[str, Any]
MAX_MODELS: Final = 32
LARGE_BYTES: Final = 256 * 1024
"""What goes through all of a larger body does so beside the event loop, which is kept from others by it for more than
a millisecond else. The way to a thread and back costs a tenth of that."""


@fact
class ModelRequest:
    """One request for a model. ``body`` is the whole decoded object as received; nobody changes it.

    ``models``: further models that would do, in order. ``include_usage``: a stream ends with its token counts.
    ``user``: the client's own name for its end user. ``body_bytes``: length of the body as received. ``is_text``: of a
    chat, whether it is known to be made of nothing but text, without tools: most are, and nobody has to look again.
    """

    operation: Operation
    model: str
    models: tuple[str, ...]
    stream: bool
    include_usage: bool
    user: str | None
    body: Body
    body_bytes: int = 0
    is_text: bool = False


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


def _request(operation: Operation, body: Body, known: Mapping[str, Check | None], body_bytes: int) -> ModelRequest:
    check_fields(body, known)
    models = tuple(body.get("models") or ())
    model = body.get("model") or (models[0] if models else None)
    if model is None:
        raise MissingParameter("'model' is required: GET /v1/models lists the names.", param="model")
    streams = operation != "embedding"
    options = (body.get("stream_options") if streams else None) or {}
    return ModelRequest(
        operation=operation,
        model=model,
        models=models,
        stream=bool(body.get("stream")) and streams,
        include_usage=bool(options.get("include_usage")),
        user=body.get("user"),
        body=body,
        body_bytes=body_bytes,
        is_text=operation == "chat" and _is_text(body),
    )


def _is_text(body: Body) -> bool:
    """Whether a chat has no tools, and no message with parts or with images beside its text."""
    if body.get("tools") or body.get("functions"):
        return False
    for message in body.get("messages") or ():
        if type(message.get("content")) is list or "images" in message:
            return False
    return True


def _names(name: str, value: Any) -> None:
    typed(list, "a list of model names")(name, value)
    if len(value) > MAX_MODELS:
        raise InvalidValue(f"'{name}' must not name more than {MAX_MODELS} models.", param=name)
    for index, entry in enumerate(value):
        model_name(f"{name}[{index}]", entry)


def _prompt(name: str, value: Any) -> None:
    """Text, several texts, or token ids."""
    _input(name, value)
    if type(value) is list and type(value[0]) is dict:
        raise InvalidValue(f"'{name}' must be a list of strings, or of token ids.", param=name)


def _input(name: str, value: Any) -> None:
    """The same; or objects with parts of content, as some servers take them."""
    if type(value) not in (str, list):
        raise InvalidValue(f"'{name}' must be a string or a list, not {json_type(value)}.", param=name)
    if type(value) is not list:
        return
    if not value:
        raise InvalidValue(f"'{name}' must hold at least one text, or token ids.", param=name)
    kinds = set(map(type, value))
    if kinds <= {list, dict}:
        bounded(name, value)
    if kinds == {list}:
        for index, ids in enumerate(value):
            if not ids or set(map(type, ids)) != {int}:
                where = f"{name}[{index}]"
                raise InvalidValue(f"'{where}' must be a list of token ids, which are integers.", param=where)
    elif kinds not in ({str}, {int}, {dict}):
        raise InvalidValue(f"'{name}' must be a list of strings, or of token ids, all of one kind.", param=name)


def _biases(name: str, value: Any) -> None:
    an_object(name, value)
    for token, bias in value.items():
        number(f"{name}.{token[:SHOWN_CHARS]}", bias)


_SHARED_FIELDS: Final[Mapping[str, Check | None]] = MappingProxyType(
    {"model": model_name, "models": _names, "user": text, "metadata": an_object, "provider": None}
)
# The ranges are those that no server exceeds that is known to us (2026-11): some take temperatures above 2, more than
# four stops, or more than 20 alternatives to a token.
_SAMPLING_FIELDS: Final[Mapping[str, Check | None]] = MappingProxyType(
    {
        "stream": flag,
        "stream_options": fields({"include_usage": flag}),
        "temperature": at_least(0),
        "top_p": between(0, 1),
        "top_k": number,
        "min_p": number,
        "top_a": number,
        "frequency_penalty": between(-2, 2),
        "presence_penalty": between(-2, 2),
        "repetition_penalty": number,
        "n": count,
        "max_tokens": count,
        "max_completion_tokens": count,
        "seed": whole,
        "stop": text_or_each(text, "a string or a list of strings"),
        "logit_bias": _biases,
    }
)
_CHAT_FIELDS: Final[Mapping[str, Check | None]] = MappingProxyType(
    {
        **_SHARED_FIELDS,
        **_SAMPLING_FIELDS,
        "messages": of_chats.messages,
        "tools": each(of_chats.tool, "a list of objects"),
        "tool_choice": of_chats.tool_choice,
        "parallel_tool_calls": flag,
        "functions": each(of_chats.function, "a list of objects"),
        "function_call": typed((str, dict), "a string or an object"),
        "response_format": of_chats.response_format,
        "logprobs": flag,
        "top_logprobs": whole,
        "reasoning_effort": text,
        "modalities": each(text, "a list of strings"),
        "audio": an_object,
        "prediction": an_object,
        "web_search_options": an_object,
        **dict.fromkeys(
            """cache_control debug image_config include_reasoning moderation plugins preset prompt_cache_key
            prompt_cache_options prompt_cache_retention reasoning route safety_identifier service_tier session_id store
            thinking trace transforms usage user_id verbosity""".split()
        ),
    }
)
_COMPLETION_FIELDS: Final[Mapping[str, Check | None]] = MappingProxyType(
    {
        **_SHARED_FIELDS,
        **_SAMPLING_FIELDS,
        "prompt": _prompt,
        "suffix": text,
        "best_of": count,
        "echo": flag,
        **dict.fromkeys("logprobs plugins preset reasoning reasoning_effort route transforms usage".split()),
    }
)
_EMBEDDING_FIELDS: Final[Mapping[str, Check | None]] = MappingProxyType(
    {
        **_SHARED_FIELDS,
        "input": _input,
        "dimensions": count,
        "encoding_format": text,
        **dict.fromkeys("input_type truncate".split()),
    }
)
KNOWN_FIELDS: Final[Mapping[Operation, frozenset[str]]] = MappingProxyType(
    {
        "chat": frozenset(_CHAT_FIELDS),
        "completion": frozenset(_COMPLETION_FIELDS),
        "embedding": frozenset(_EMBEDDING_FIELDS),
    }
)
"""The fields of a body that OpenAI, OpenRouter or DeepSeek document, and those of ours."""
