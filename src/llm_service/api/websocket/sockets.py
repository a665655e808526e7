"""The WebSockets of the service by their paths."""

from collections.abc import Mapping

from llm_service.api.errors import error_body, error_headers, spoken
from llm_service.api.http_request import App, Receive, Scope, Send
from llm_service.api.websocket.wire import EXTENSION, Wire
from llm_service.domain import LLMServiceError, NotFound
from llm_service.runtime import IdSource

HeaderList = tuple[tuple[bytes, bytes], ...]


class Sockets:
    """Hands each WebSocket to what answers at its path (a trailing slash works too), with the bounds of the settings.

    ``max_message_bytes``: of what a client sends; ``ping_s``: how long one may be silent before it is asked whether it
    is there. Where nothing answers, the handshake is refused with an error as REST gives it.
    """

    def __init__(
        self,
        apps: Mapping[str, App],
        *,
        max_message_bytes: int,
        ping_s: float,
        ids: IdSource,
        fixed_headers: HeaderList,
    ) -> None:
        self._apps = apps
        self._max_message_bytes = max_message_bytes
        self._ping_s = ping_s
        self._ids = ids
        self._fixed_headers = fixed_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket, from its handshake to its end."""
        app = self._apps.get(scope["path"].rstrip("/"))
        if app is None:
            await receive()
            error = NotFound("There is no WebSocket at this address; /docs lists what there is.")
            await deny(send, error, request_id=self._ids.new("req"), headers=self._fixed_headers)
            return
        wire: Wire | None = scope.get("extensions", {}).get(EXTENSION)
        if wire is not None:
            wire.max_message_bytes = self._max_message_bytes
            wire.mind_silence(self._ping_s)
        await app(scope, receive, send)


async def deny(send: Send, error: LLMServiceError, *, request_id: str, headers: HeaderList = ()) -> None:
    """Refuse a handshake with the error as a response of HTTP (ASGI's extension ``websocket.http.response``)."""
    body = error_body(error, request_id=request_id)
    own = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        *headers,
        *error_headers(error),
    ]
    await send({"type": "websocket.http.response.start", "status": spoken(error).status, "headers": own})
    await send({"type": "websocket.http.response.body", "body": body})
