"""The transport on aiohttp: one session for each provider, one task for each request, bytes pushed to the receiver."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Any, Final

import aiohttp
from aiohttp import hdrs
from yarl import URL

from llm_service.runtime import OnFailure
from llm_service.transport.base import BODY_FAILED, Body, Flow, HttpHead, HttpRequest, Receiver, TransportError
from llm_service.transport.decoding import Decoder, decoder_of
from llm_service.transport.failures import cannot_connect, connect_late, cut_off, no_http, not_handled, tls_refused
from llm_service.transport.response_head import HEAD_LINE_BYTES

IDLE_CONNECTION_S: Final = 15.0


class AiohttpTransport:
    """A pooled HTTP/1.1 client: keep-alive, verified TLS, no redirects, no cookies, no proxy from the environment.

    ``max_connections`` bounds the connections to the provider; further requests wait their turn, for as long as
    their caller lets them. Construct it on the running event loop.
    """

    def __init__(self, *, max_connections: int, on_failure: OnFailure, tls: ssl.SSLContext | None = None) -> None:
        self.on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections, keepalive_timeout=IDLE_CONNECTION_S, ssl=tls if tls is not None else True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
            max_line_size=HEAD_LINE_BYTES,
            max_field_size=HEAD_LINE_BYTES,
        )
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._urls: dict[str, URL] = {}
        self._calls: set[_Call] = set()

    def send(self, request: HttpRequest, receiver: Receiver) -> Flow:
        """Send the request now; see :class:`Transport`."""
        call = _Call(self, request, receiver)
        self._calls.add(call)
        call.task = self._loop.create_task(call.run())
        return call

    def open(self, request: HttpRequest) -> Any:
        """The request as aiohttp's context manager."""
        return self._session.request(
            request.method,
            self._url(request.url),
            data=self._data(request.body),
            headers={**request.headers, **(request.more_headers or {})},
            allow_redirects=False,
            timeout=self._timeout(request.connect_s),
        )

    def _data(self, body: Body) -> Any:
        return body if body is None or isinstance(body, bytes) else self._pieces(body)

    async def _pieces(self, body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """The same, and what it raises is reported: aiohttp tells of a broken connection alone."""
        try:
            async for piece in body:
                yield piece
        except Exception as error:
            self.on_failure(BODY_FAILED, error)
            raise
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()

    def forget(self, call: "_Call") -> None:
        """The call has ended."""
        self._calls.discard(call)

    def _url(self, url: str) -> URL:
        known = self._urls.get(url)
        if known is None:
            known = URL(url)
            if len(self._urls) < 256:  # a provider has a few addresses; only ids in paths make more
                self._urls[url] = known
        return known

    def _timeout(self, connect_s: float) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(connect_s)
        if timeout is None:
            timeout = self._timeouts[connect_s] = aiohttp.ClientTimeout(
                total=None, connect=None, sock_read=None, sock_connect=connect_s
            )
        return timeout

    async def aclose(self) -> None:
        """Abort what runs and close all connections."""
        running = tuple(self._calls)
        for call in running:
            call.abort()
        await asyncio.gather(*(call.task for call in running if call.task is not None), return_exceptions=True)
        await self._session.close()


class _Call:
    """One request on its way: its task reads the answer and tells the receiver."""

    __slots__ = ("_aborted", "_decoder", "_receiver", "_request", "_response", "_resumed", "_transport", "task")

    def __init__(self, transport: AiohttpTransport, request: HttpRequest, receiver: Receiver) -> None:
        self._transport = transport
        self._request = request
        self._receiver = receiver
        self._response: aiohttp.ClientResponse | None = None
        self._decoder: Decoder | None = None
        self._resumed: asyncio.Event | None = None
        self._aborted = False
        self.task: asyncio.Task[None] | None = None

    def pause(self) -> None:
        if self._resumed is None:
            self._resumed = asyncio.Event()
        self._resumed.clear()

    def resume(self) -> None:
        if self._resumed is not None:
            self._resumed.set()

    def abort(self) -> None:
        self._aborted = True
        if self._response is not None:
            self._response.close()
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    async def run(self) -> None:
        try:
            await self._exchange()
        except asyncio.CancelledError:
            if not self._aborted:
                raise
        except TransportError as error:
            if not self._aborted:
                self._receiver.on_error(error)
        except (aiohttp.ClientError, OSError, TimeoutError, UnicodeError) as error:
            if not self._aborted:
                self._receiver.on_error(failure_of(error, answered=self._response is not None))
        except Exception as defect:  # noqa: BLE001 - a receiver's defect: reported, and its answer is not complete
            self._transport.on_failure("upstream call", defect)
            self._receiver.on_error(not_handled())
        finally:
            if self._response is not None:
                self._response.close()  # gives a connection back that was read to its end, and ends any other
            self._transport.forget(self)

    async def _exchange(self) -> None:
        self._response = response = await self._transport.open(self._request)
        headers = response.headers
        self._decoder = decoder_of(headers.get(hdrs.CONTENT_ENCODING))
        self._receiver.on_head(HttpHead(response.status, headers))
        content = response.content
        while not self._aborted:
            data = await content.readany()
            if not data:
                break
            if self._decoder is not None:
                await self._decode(self._decoder, data)
                continue
            self._receiver.on_body(data)
            if self._resumed is not None:
                await self._resumed.wait()
        if not self._aborted:
            self._finish()

    async def _decode(self, decoder: Decoder, data: bytes) -> None:
        """Hand on what the bytes decode to, in bounded pieces."""
        decoder.feed(data)
        while not self._aborted and (piece := decoder.piece()):
            self._receiver.on_body(piece)
            if self._resumed is not None:
                await self._resumed.wait()

    def _finish(self) -> None:
        if self._decoder is not None:
            self._decoder.finish()
        self._receiver.on_end()


def failure_of(error: Exception, *, answered: bool) -> TransportError:
    """aiohttp's errors in the port's words; the messages name no address and no header."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return connect_late()
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return tls_refused(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return tls_refused(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return cannot_connect(error.os_error)
    if isinstance(error, UnicodeError):  # a name that cannot be one
        return cannot_connect(error)
    if isinstance(error, aiohttp.ClientResponseError):
        return no_http()
    return cut_off(answered=answered)


__all__ = ["AiohttpTransport"]
