"""Responses to HTTP/1.0 clients, who know no chunks: what has no length runs until the connection closes."""

from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

App = Callable[[Any, Any, Any], Awaitable[None]]


def until_close(cycle: RequestResponseCycle, app: App) -> App:
    """The application for this one request; its connection is closed after the response.

    RFC 9112 section 6.1: no transfer coding for a client of HTTP/1.0. RFC 9110 section 10.1.1: no 100 Continue either.
    """
    cycle.keep_alive = False
    cycle.waiting_for_100_continue = False

    endless = False

    async def send(message: Any) -> None:
        nonlocal endless
        if message["type"] == "http.response.start":
            endless = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if endless:
                cycle.chunked_encoding = False
        elif endless:
            cycle.expected_content_length = len(message.get("body", b""))  # whatever comes is as long as it should be
        await cycle.send(message)

    async def bare(scope: Any, receive: Any, _: Any) -> None:
        await app(scope, receive, send)

    return bare
