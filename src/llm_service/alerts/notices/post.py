"""Posts a notice over HTTP: one request, no redirect, a short answer, and failures that name nothing but the host."""

import asyncio
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from llm_service import __version__
from llm_service.alerts.notice import NoticeFailed
from llm_service.domain import Secret, fact
from llm_service.runtime import Clock
from llm_service.transport import HttpHead, HttpRequest, Transport, TransportError

MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_WAIT_S: Final = 86400.0
HEADERS: Final[Mapping[str, str]] = {
    "user-agent": f"llm-service/{__version__}",
    "accept": "*/*",
    "accept-encoding": "identity",
    "content-type": "application/json",
}
_AGAIN: Final = frozenset((408, 425, 429))
"""Refusals that say nothing against the notice itself: RFC 9110 section 15.5.9, RFC 8470, RFC 6585 section 4."""


@fact
class Answer:
    """What was answered; the body is cut after 64 KiB."""

    status: int
    body: bytes
    retry_after_s: float | None


class Poster:
    """Posts to one address. Its path and query are secrets: messages name the host."""

    def __init__(self, url: Secret, *, transport: Transport, clock: Clock, timeout_s: float) -> None:
        self.host = urlsplit(url.reveal()).netloc
        self._url = url
        self._transport = transport
        self._clock = clock
        self._timeout_s = timeout_s

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer that came within the time limit, whatever its status. Raises NoticeFailed."""
        request = HttpRequest(
            method="POST",
            url=self._url.reveal(),
            headers={**HEADERS, **headers},
            body=body,
            connect_s=self._timeout_s,
        )
        receiver = _Receiver(self.host, self._clock)
        flow = self._transport.send(request, receiver)
        timer = self._clock.call_later(self._timeout_s, receiver.expire)
        try:
            return await receiver.answer
        finally:
            timer.cancel()
            flow.abort()

    async def aclose(self) -> None:
        """Abort what runs and close the connections."""
        await self._transport.aclose()


def check(answer: Answer, host: str, *, said: str = "") -> None:
    """Raises NoticeFailed unless the status is a success; ``said``: what is safe to repeat of the body."""
    status = answer.status
    if 200 <= status < 300:
        return
    message = f"{host} answered {status}{f' ({said})' if said else ''}"
    if 300 <= status < 400:
        raise NoticeFailed(f"{message}, and redirects are not followed", lasting=True)
    lasting = status < 500 and status not in _AGAIN
    raise NoticeFailed(message, lasting=lasting, retry_after_s=answer.retry_after_s)


class _Receiver:
    """Receiver of one answer, of which the head matters."""

    def __init__(self, host: str, clock: Clock) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._host = host
        self._clock = clock
        self._head: HttpHead | None = None
        self._parts: list[bytes] = []
        self._left_bytes = MAX_ANSWER_BYTES

    def on_head(self, head: HttpHead) -> None:
        self._head = head

    def on_body(self, data: bytes) -> None:
        self._parts.append(data[: self._left_bytes])
        self._left_bytes -= len(data)
        if self._left_bytes <= 0:  # the status has been said; nobody waits for the rest
            self.on_end()

    def on_end(self) -> None:
        if self._head is None or self.answer.done():
            return
        asked = retry_after_s(self._head.headers.get("retry-after"), self._clock.time())
        self.answer.set_result(Answer(status=self._head.status, body=b"".join(self._parts), retry_after_s=asked))

    def on_error(self, error: TransportError) -> None:
        self._fail(f"{self._host}: {error}")

    def expire(self) -> None:
        self._fail(f"{self._host} did not answer in time")

    def _fail(self, message: str) -> None:
        if self._head is not None:  # the status has been said: a notice that was taken is not sent again
            self.on_end()
        elif not self.answer.done():
            self.answer.set_exception(NoticeFailed(message))


def retry_after_s(told: str | None, now_s: float) -> float | None:
    """Seconds of a Retry-After header, at most a day; None where it says nothing. RFC 9110, section 10.2.3."""
    if told is None:
        return None
    try:
        seconds = float(told) if told.strip().isdecimal() else parsedate_to_datetime(told).timestamp() - now_s
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_WAIT_S) if math.isfinite(seconds) else None


__all__ = ["Answer", "Poster", "check", "retry_after_s"]
