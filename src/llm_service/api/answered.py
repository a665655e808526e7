"""Who hears of each HTTP answer that begins."""

from collections.abc import Awaitable, Callable
from typing import Any

from llm_service.api.http_request import Message, Scope, Send
from llm_service.api.whole_response import EXTENSION

Answered = Callable[[str, str, int], None]
"""Is told the method, the route's template, and the status."""


def unheard(method: str, route: str, status: int) -> None:
    """Where nobody counts."""


def overheard(scope: Scope, send: Send, *, route: str, answered: Answered) -> tuple[Scope, Send]:
    """The same scope and ``send``, which tell of the answer's beginning, whichever of the two ways it goes out."""

    def sending(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            answered(scope["method"], route, message["status"])
        return send(message)

    extensions = scope.get("extensions", {})
    if EXTENSION not in extensions:
        return scope, sending
    write: Any = extensions[EXTENSION]["write"]

    def writing(status: int, head: bytes, body: bytes) -> bool:
        written: bool = write(status, head, body)
        if written:
            answered(scope["method"], route, status)
        return written

    return {**scope, "extensions": {**extensions, EXTENSION: {"write": writing}}}, sending
