"""What a client asks for in a frame of its own: taken apart and checked."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

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
from llm_service.domain import (
    ANY_ANSWER,
    NO_TAGS,
    Body,
    CacheControl,
    InvalidValue,
    MissingParameter,
    ModelRequest,
    cache_control,
    chat_request,
)

MAX_ID_CHARS: Final = 128
MAX_CREDIT: Final = 1_000_000_000
OPTIONS: Final = frozenset(
    (
        *("idempotency_key", "cache_control", "user", "tags", "timeout_s", "on_disconnect", "credit"),
        *("traceparent", "tracestate"),
    )
)
T = TypeVar("T")


def id_in(frame: Body) -> str:
    """The client's own name of a generation. Raises MissingParameter and InvalidValue."""
    name = frame.get("id")
    if name is None:
        raise MissingParameter("'id' is required: your own name of this generation.", param="id")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID_CHARS or not name.isprintable():
        raise InvalidValue(f"'id' must be 1 to {MAX_ID_CHARS} printable characters.", param="id")
    return name


def request_in(frame: Body, frame_bytes: int) -> ModelRequest:
    """The chat request of ``chat.create``, which is always streamed. Raises MissingParameter and InvalidValue."""
    request = frame.get("request")
    if request is None:
        raise MissingParameter("'request' is required: the body of a chat completion.", param="request")
    if not isinstance(request, dict):
        raise InvalidValue("'request' must be an object: the body of a chat completion.", param="request")
    if not isinstance(request.get("stream"), bool | None):
        raise InvalidValue("'stream' must be a boolean.", param="stream")
    return chat_request({**request, "stream": True}, frame_bytes)


def options_in(frame: Body) -> CallOptions:
    """What ``options`` ask for. Raises InvalidValue."""
    options = _options(frame)
    tags = options.get("tags")
    return CallOptions(
        timeout_s=_option(options, "timeout_s", _timeout_s),
        user=_option(options, "user", lambda value, place: user_in(_text(value, place), place)),
        tags=NO_TAGS if tags is None else _tags(tags),
        control=_option(options, "cache_control", _control) or ANY_ANSWER,
        idempotency_key=_option(
            options, "idempotency_key", lambda value, place: idempotency_key_in(_text(value, place), place)
        ),
        on_disconnect=_option(
            options, "on_disconnect", lambda value, place: on_disconnect_in(_text(value, place), place)
        ),
        trace=TraceHeaders(_option(options, "traceparent", _text), _option(options, "tracestate", _text)),
    )


def first_credit_in(frame: Body) -> int | None:
    """The chunks that may be sent before the first ``chat.credit``; ``None``: as many as there are."""
    return _option(_options(frame), "credit", _credit)


def credit_in(frame: Body) -> int:
    """The chunks of a ``chat.credit``. Raises InvalidValue."""
    return _credit(frame.get("chunks"), Place("'chunks'", "chunks"))


def cursor_in(frame: Body) -> tuple[str, int | str | None]:
    """Stream and place of a ``chat.resume``. Raises MissingParameter and InvalidValue."""
    stream_id, after = frame.get("stream_id"), frame.get("after")
    if stream_id is None:
        raise MissingParameter("'stream_id' is required: the stream to go on with.", param="stream_id")
    if not isinstance(stream_id, str):
        raise InvalidValue("'stream_id' must be a string.", param="stream_id")
    if isinstance(after, bool) or not isinstance(after, int | str | None):
        raise InvalidValue("'after' must be the number of an event, or its cursor.", param="after")
    return stream_id, after


def _options(frame: Body) -> Mapping[str, Any]:
    options = frame.get("options")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise InvalidValue("'options' must be an object.", param="options")
    unknown = next((name for name in options if name not in OPTIONS), None)
    if unknown is not None:
        raise InvalidValue(f"'options.{unknown[:64]}' is not known; there are {', '.join(sorted(OPTIONS))}.")
    return options


def _option(options: Mapping[str, Any], name: str, read: Callable[[Any, Place], T]) -> T | None:
    value = options.get(name)
    return None if value is None else read(value, Place(f"'options.{name}'", f"options.{name}"))


def _text(value: Any, place: Place) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{place.said} must be a string.", param=place.param)
    return value


def _timeout_s(value: Any, place: Place) -> float:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
    return timeout_s_in(number, place)


def _control(value: Any, place: Place) -> CacheControl:
    try:
        return cache_control(_text(value, place))
    except InvalidValue as error:
        raise InvalidValue(error.message, param=place.param) from None


def _credit(value: Any, place: Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_CREDIT:
        raise InvalidValue(f"{place.said} must be a whole number from 1 to {MAX_CREDIT}.", param=place.param)
    return value


def _tags(value: Any) -> Mapping[str, str]:
    place = Place("'options.tags'", "options.tags")
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InvalidValue(f"{place.said} must be an object of strings.", param=place.param)
    return tags_in(value, place, such_as='{"team": "search", "env": "prod"}')
