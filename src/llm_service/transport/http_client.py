"""The service's own HTTP/1.1 client: bytes go from the socket through the parser to the receiver by plain calls."""

import asyncio
import ssl

from llm_service.runtime import OnFailure
from llm_service.transport.base import Flow, HttpRequest, Receiver
from llm_service.transport.call import Call
from llm_service.transport.pool import Pool
from llm_service.transport.request_head import RequestHeads


class HttpTransport:
    """A pooled HTTP/1.1 client: keep-alive, verified TLS, no redirects, no cookies, no proxy from the environment.

    ``max_connections`` bounds the connections to the provider; further requests wait their turn, for as long as
    their caller lets them. ``tls`` replaces the system's authorities, and is set to offer HTTP/1.1 alone. Construct it
    on the running event loop.
    """

    def __init__(self, *, max_connections: int, on_failure: OnFailure, tls: ssl.SSLContext | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._heads = RequestHeads()
        self._pool = Pool(max_connections=max_connections, tls=tls, on_failure=on_failure)

    def send(self, request: HttpRequest, receiver: Receiver) -> Flow:
        """Send the request now; see :class:`Transport`.

        Raises ValueError for an address or a header that could not be sent as it is without breaking out of its line.
        """
        origin, head = self._heads.encode(request)
        call = Call(
            receiver,
            origin,
            head,
            request.body,
            request.connect_s,
            self._on_failure,
            self._loop,
            at_once=request.at_once,
        )
        self._pool.send(call)
        return call

    async def aclose(self) -> None:
        """Abort what runs, close all connections, and return when they are closed."""
        await self._pool.aclose()


__all__ = ["HttpTransport"]
