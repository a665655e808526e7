"""A client behind ASGI: the plain way, which every server knows."""

from collections.abc import Callable

from llm_service.api.client import Waiting, headers_in
from llm_service.api.http_request import Headers, Message, Receive, Scope, Send, headers_of, peer_of
from llm_service.api.pieces import piece_of
from llm_service.api.rest.hang_up import HangUp, HangUpWatch
from llm_service.api.whole_response import respond
from llm_service.runtime import begin


class AsgiClient:
    """A ``Client`` over a scope with its ``receive`` and ``send``. ``watch``: over those that wait for an answer."""

    __slots__ = ("_hang_up", "_more", "_receive", "_scope", "_send", "_watch", "peer")

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, watch: HangUpWatch) -> None:
        self.peer = peer_of(scope)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._watch = watch
        self._hang_up: HangUp | None = None
        self._more = True

    def headers(self) -> Headers:
        """Those of the request. Raises InvalidRequest."""
        return headers_of(self._scope)

    def whole_body(self) -> bytes | None:
        """It is always taken by pieces: that is how the server learns that it is wanted."""
        return None

    async def piece(self) -> tuple[bytes, bool]:
        """What has come of the body since, and whether more is to come. Raises HungUp."""
        if not self._more:
            return b"", False
        one, self._more = await piece_of(self._receive)
        return one, self._more

    def on_left(self, callback: Callable[[], None] | None) -> None:
        """Call back when the client leaves; ``None``: no more."""
        if self._hang_up is not None:
            self._hang_up.stop()
        self._hang_up = None if callback is None else self._watch.over(self._receive, callback)

    async def gone(self) -> None:
        """Wait until the client leaves, or the answer has been written."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def respond(self, status: int, head: bytes, body: bytes) -> Waiting:
        """The whole response."""
        return respond(self._scope, self._send, status=status, head=head, body=body)

    def respond_early(self, status: int, head: bytes, body: bytes) -> Waiting:
        """The same to a client that may still be sending."""
        return self._respond_early(status, head, body)

    async def _respond_early(self, status: int, head: bytes, body: bytes) -> None:
        headers = [*headers_in(head), (b"connection", b"close")]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def begin(self, head: bytes) -> Waiting:
        """The beginning of a response."""
        return self._sent({"type": "http.response.start", "status": 200, "headers": headers_in(head)})

    def write(self, data: bytes) -> Waiting:
        """A piece of it."""
        return self._sent({"type": "http.response.body", "body": data, "more_body": True})

    def end(self, data: bytes) -> Waiting:
        """The last piece."""
        return self._sent({"type": "http.response.body", "body": data, "more_body": False})

    def _sent(self, message: Message) -> Waiting:
        return begin(self._send(message))  # type: ignore[arg-type]  # a server's `send` is a coroutine
