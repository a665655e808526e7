"""Which heads are taken, of those that a parser takes for HTTP."""

from typing import Any

import httptools
import pytest

from llm_service.api.heads import head_problem


class Head:
    """What a parser makes of a head, and what is then said of it."""

    def __init__(self, head: bytes) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self.problem: Any = "no head"
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(head.replace(b"\n", b"\r\n") + b"\r\n\r\n")

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.problem = head_problem(self._parser, self._url, self._headers)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health/live HTTP/1.0",
        b"HEAD /health/live HTTP/1.0\nConnection: keep-alive",
        b"GET / HTTP/1.1\nHost:",
        b"GET / HTTP/1.1\nHost: my_service.default.svc.cluster.local.:8080",
        b"GET / HTTP/1.1\nHost: [::1]:8080",
        b"GET / HTTP/1.1\nHost: \tx\t",
        b"GET http://x/ HTTP/1.0",
        b"GET http://x:80/ HTTP/1.1\nHost: x",
        b"GET https://x/?a=http://y/ HTTP/1.1\nHost: X:443",
        b"GET HTTP://x:8080/ HTTP/1.1\nHost: x:8080",
        b"OPTIONS * HTTP/1.1\nHost: x",
        b"POST / HTTP/1.1\nHost: x\nTransfer-Encoding: Chunked",
    ],
)
def test_what_load_balancers_and_old_clients_send_is_taken(head: bytes) -> None:
    assert Head(head).problem is None


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"GET http://x:81/ HTTP/1.1\nHost: x", "names another host"),
        (b"GET http://y/ HTTP/1.0\nHost: x", "names another host"),
        (b"GET http://x/ HTTP/1.1\nHost: x\nHost: x", "names another host"),
        (b"GET http://x/ HTTP/1.1", "names another host"),
        (b"GET http://u@x/ HTTP/1.0", "names another host"),
        (b"GET ftp://x/ HTTP/1.1\nHost: x", "names another host"),
        (b"POST / HTTP/1.0\nTransfer-Encoding: chunked", "no other transfer coding"),
    ],
)
def test_what_a_proxy_could_read_in_another_way_is_not(head: bytes, said: str) -> None:
    assert said in str(Head(head).problem)
