"""One module for each target: ``one(data)`` raises for an input that shows a defect, and for no other."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from fuzz.targets import (
    filters,
    graphql_document,
    journal,
    kept_answer,
    pattern,
    request_body,
    request_head,
    settings,
    sse,
    store_url,
    stream_chunks,
    stream_log,
    tokens,
    upstream_answer,
    upstream_http,
    web_token,
    websocket,
)

One = Callable[[bytes], None]

TARGETS: Final[Mapping[str, One]] = MappingProxyType(
    {
        "filters": filters.one,
        "graphql_document": graphql_document.one,
        "journal": journal.one,
        "kept_answer": kept_answer.one,
        "pattern": pattern.one,
        "request_body": request_body.one,
        "request_head": request_head.one,
        "settings": settings.one,
        "sse": sse.one,
        "store_url": store_url.one,
        "stream_chunks": stream_chunks.one,
        "stream_log": stream_log.one,
        "tokens": tokens.one,
        "upstream_answer": upstream_answer.one,
        "upstream_http": upstream_http.one,
        "web_token": web_token.one,
        "websocket": websocket.one,
    }
)
