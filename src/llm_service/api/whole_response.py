"""A whole response in one piece, past ASGI's messages: those cost a second write, and a look at every header."""

from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from llm_service.api.client import header_block, headers_in

EXTENSION: Final = "llm_service.whole_response"
"""The ASGI extension under which the server offers it."""


def offer(cycle: RequestResponseCycle) -> None:
    """Have the scope of this request say that its response can be written whole, until ``withdraw``."""
    cycle.scope["extensions"] = {EXTENSION: {"write": partial(_write, cycle)}}


def withdraw(cycle: RequestResponseCycle) -> None:
    """Have it say so no more; idempotent. Else the two would hold each other, and wait for the collector of garbage.

    Measured: that of a thousand requests took it 10 to 30 ms, in which nobody is served.
    """
    if extensions := cycle.scope.get("extensions"):
        extensions.clear()


def withdrawn_for_pages(app: Any) -> Any:
    """The same application behind one that adds headers to what pages of other origins get (CORS).

    A response that is written past ASGI's messages would come to a page without these headers, and not be readable.
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if "extensions" in scope and any(name == b"origin" for name, _ in scope["headers"]):
            others = {name: offered for name, offered in scope["extensions"].items() if name != EXTENSION}
            scope = {**scope, "extensions": others}
        await app(scope, receive, send)

    return serve


async def respond(scope: Any, send: Any, *, status: int, head: bytes, body: bytes) -> None:
    """Send a whole response: in one piece where the server offers that, else as ASGI's two messages.

    ``head``: a header block (see ``client``), a ``content-length`` in it.
    """
    offered = scope.get("extensions", {}).get(EXTENSION)
    if offered is None or not offered["write"](status, head, body):
        await send({"type": "http.response.start", "status": status, "headers": headers_in(head)})
        await send({"type": "http.response.body", "body": body})


def _write(cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> bool:
    """What the cycle does with the two messages. False: not now; it has to wait, or nobody is there."""
    if cycle.disconnected or cycle.response_started or cycle.flow.write_paused:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
    pieces = [STATUS_LINE[status], header_block(cycle.default_headers), head, end]
    if cycle.scope["method"] != "HEAD":  # whose answer ends with its head, whatever length that tells (RFC 9110, 9.3.2)
        pieces.append(body)
    transport: Any = cycle.transport
    transport.write_later(b"".join(pieces))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
