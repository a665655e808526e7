"""One small request and its whole answer, for those who wait for it."""

import asyncio
from typing import Final

from llm_service.domain import fact
from llm_service.transport.base import HttpHead, HttpRequest, Transport, TransportError

MAX_ANSWER_BYTES: Final = 64 * 1024


@fact
class Posted:
    """A whole answer; of a longer body than is wanted the beginning."""

    status: int
    body: bytes


async def ask_once(transport: Transport, request: HttpRequest, *, within_s: float) -> Posted:
    """The answer to a request. Raises TransportError, and TimeoutError where it takes longer than ``within_s``."""
    receiver = _Receiver()
    flow = transport.send(request, receiver)
    try:
        async with asyncio.timeout(within_s):
            return await receiver.done
    finally:
        flow.abort()


class _Receiver:
    def __init__(self) -> None:
        self.done: asyncio.Future[Posted] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._body = b""

    def on_head(self, head: HttpHead) -> None:
        self._status = head.status

    def on_body(self, data: bytes) -> None:
        self._body += data[: MAX_ANSWER_BYTES - len(self._body)]

    def on_end(self) -> None:
        if not self.done.done():
            self.done.set_result(Posted(status=self._status, body=self._body))

    def on_error(self, error: TransportError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
