"""The headers that say of a REST request what other doors say in its options."""

from collections.abc import Mapping
from typing import Final

from llm_service.api.call_options import (
    NO_OPTIONS,
    NO_TRACE,
    CallOptions,
    OnDisconnect,
    Place,
    TraceHeaders,
    idempotency_key_in,
    on_disconnect_in,
    printable,
    tags_in,
    timeout_s_in,
    user_in,
)
from llm_service.api.http_request import Headers
from llm_service.domain import ANY_ANSWER, NO_TAGS, InvalidValue, cache_control

_TIMEOUT: Final = Place("The header X-LLM-Timeout-S", "X-LLM-Timeout-S")
_USER: Final = Place("The header X-LLM-User", "X-LLM-User")
_TAGS: Final = Place("The header X-LLM-Tags", "X-LLM-Tags")
_KEY: Final = Place("The header Idempotency-Key", "Idempotency-Key")
_ON_DISCONNECT: Final = Place("The header X-LLM-On-Disconnect", "X-LLM-On-Disconnect")


_ASKING: Final = frozenset(
    (
        *(b"cache-control", b"x-llm-timeout-s", b"x-llm-user", b"x-llm-tags", b"idempotency-key"),
        *(b"x-llm-on-disconnect", b"traceparent"),
    )
)


def options_of(headers: Headers) -> CallOptions:
    """What the headers ask for. Raises InvalidValue."""
    if _ASKING.isdisjoint(headers):
        return NO_OPTIONS
    control = headers.get(b"cache-control")
    return CallOptions(
        timeout_s=timeout_of(headers),
        user=user_of(headers),
        tags=tags_of(headers),
        control=ANY_ANSWER if control is None else cache_control(control.decode("latin-1")),
        idempotency_key=idempotency_key_of(headers),
        on_disconnect=on_disconnect_of(headers),
        trace=trace_of(headers) if b"traceparent" in headers else NO_TRACE,
    )


def trace_of(headers: Headers) -> TraceHeaders:
    """The trace that the request belongs to, as it says."""
    parent, state = headers.get(b"traceparent"), headers.get(b"tracestate")
    return TraceHeaders(
        None if parent is None else parent.decode("latin-1"), None if state is None else state.decode("latin-1")
    )


def timeout_of(headers: Headers) -> float | None:
    """The caller's own deadline from ``X-LLM-Timeout-S``, in seconds. Raises InvalidValue."""
    value = headers.get(b"x-llm-timeout-s")
    if value is None:
        return None
    try:
        timeout_s = float(value)
    except ValueError:
        timeout_s = 0.0
    return timeout_s_in(timeout_s, _TIMEOUT)


def on_disconnect_of(headers: Headers) -> OnDisconnect | None:
    """What ``X-LLM-On-Disconnect`` asks for. Raises InvalidValue for something that there is not."""
    value = headers.get(b"x-llm-on-disconnect")
    return None if value is None else on_disconnect_in(value.decode("latin-1"), _ON_DISCONNECT)


def idempotency_key_of(headers: Headers) -> str | None:
    """The request's ``Idempotency-Key``. Raises InvalidValue."""
    value = headers.get(b"idempotency-key")
    return None if value is None else idempotency_key_in(_text_of(value, _KEY), _KEY)


def user_of(headers: Headers) -> str | None:
    """The end user that ``X-LLM-User`` names. Raises InvalidValue."""
    value = headers.get(b"x-llm-user")
    return None if value is None else user_in(_text_of(value, _USER), _USER)


def tags_of(headers: Headers) -> Mapping[str, str]:
    """The tags that ``X-LLM-Tags`` names, as ``team=search,env=prod``. Raises InvalidValue."""
    value = headers.get(b"x-llm-tags")
    if value is None:
        return NO_TAGS
    pairs = (piece.partition("=") for piece in printable(_text_of(value, _TAGS), _TAGS).split(","))
    return tags_in({name: said for name, _, said in pairs}, _TAGS, such_as="team=search,env=prod")


def _text_of(value: bytes, place: Place) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidValue(f"{place.said} must be UTF-8.", param=place.param) from None
