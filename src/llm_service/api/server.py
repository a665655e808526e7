"""The HTTP server around the doors: uvicorn on httptools, our own signals, and its errors in our form."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llm_service.api.errors import error_body
from llm_service.domain import InvalidRequest

BACKLOG: Final = 2048
IDLE_CONNECTION_S: Final = 75
LAST_WRITES_S: Final = 5


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol; what is not HTTP is refused in the contract's form."""

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that make no request, and close."""
        body = error_body(InvalidRequest(f"This is not a valid HTTP request: {msg}"), request_id="none")
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        self.transport.write(head + body)
        self.transport.close()


class HttpServer(uvicorn.Server):
    """Serves an ASGI application on one socket. Signals are the caller's: set ``should_exit`` to end it."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=IDLE_CONNECTION_S,
                timeout_graceful_shutdown=LAST_WRITES_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the address. Raises OSError when it is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not host.replace(".", "").isdigit() and ":" not in host:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
