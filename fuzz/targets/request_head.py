"""Whatever stands in the head of a request: it is understood, or refused with an error of ours."""

from contextlib import suppress

from llm_service.api.call_options import Place
from llm_service.api.graphql.negotiation import media_type
from llm_service.api.http_request import credentials_of, headers_of
from llm_service.api.rest.call_headers import options_of
from llm_service.api.rest.wire import header_value
from llm_service.api.resuming import cursor_in, number_in
from llm_service.domain import LLMServiceError
from llm_service.observability.tracing.context import STATE_CHARS, trace_context, traceparent_of

_PLACE = Place("The header Last-Event-ID", "Last-Event-ID")


def one(data: bytes) -> None:
    """``data``: lines such as ``name: value``."""
    pairs = [
        (name.strip().lower(), value.strip()) for name, _, value in (li.partition(b":") for li in data.split(b"\n"))
    ]
    scope = {"type": "http", "method": "POST", "http_version": "1.1", "headers": pairs, "client": ("192.0.2.1", 1)}
    try:
        headers = headers_of(scope)
    except LLMServiceError:
        headers = dict(pairs)
    with suppress(LLMServiceError):
        options_of(headers)
    credentials_of(scope, headers)
    with suppress(LLMServiceError):
        media_type(headers.get(b"accept"))
    check_trace(headers.get(b"traceparent", b"").decode("latin-1"), headers.get(b"tracestate", b"").decode("latin-1"))
    for value in headers.values():
        check_cursor(value.decode("latin-1"))
        written = header_value(value.decode("utf-8", "replace"))
        assert not set(written) & set(b"\r\n\0")


def check_trace(parent: str, state: str) -> None:
    found = trace_context(parent, state)
    if found is not None:
        assert len(found.state) <= STATE_CHARS
        again = trace_context(traceparent_of(found.trace_id, found.parent_id, found.flags), found.state)
        assert again == found


def check_cursor(text: str) -> None:
    with suppress(LLMServiceError):
        stream_id, number = cursor_in(text, _PLACE)
        assert number >= 0
        assert number_in(f"{stream_id}.{number}", stream_id) == number
