"""The head of a request as bytes: checked and encoded once for each address and set of headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from llm_service.domain import fact_in_order
from llm_service.transport.base import HttpRequest

MAX_KNOWN_HEADS: Final = 256
MAX_SETS_OF_HEADERS: Final = 8
"""So many are known of one address: a provider may have several credentials that take turns."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")  # RFC 9110, section 5.5: no control character but tab
_URL: Final = re.compile(r"[^\x00-\x20\x7f\\]+")
_PATH_SAFE: Final = "/%:@!$&'()*+,;=-._~"  # RFC 3986, section 3.3; what is encoded already stays as it is
_QUERY_SAFE: Final = _PATH_SAFE + "?"
# They frame the message or rule the connection: the client's own, or not spoken by it.
_OWN: Final = frozenset(
    (
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where connections lead to. One object for each: two that are the same place are the same object."""

    host: str
    port: int
    secure: bool


@fact_in_order
class _Known:
    origin: Origin
    headers: Mapping[str, str]
    start: bytes


class RequestHeads:
    """Encodes the heads of one client's requests.

    What was encoded is used again only for the same method and address with equal headers, so that no request ever
    gets the headers of another.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[_Known, ...]] = {}
        self._origins: dict[tuple[str, str, int], Origin] = {}

    def encode(self, request: HttpRequest) -> tuple[Origin, bytes]:
        """Where the request goes, and its head.

        Raises ValueError for an address that is not absolute http or https, or that carries credentials, and for what
        could end a line or a head before its time; the message quotes none of it.
        """
        for known in self._known.get((request.method, request.url), ()):
            if known.headers == request.headers:
                break
        else:
            known = self._learn(request)
        start, body = known.start, request.body
        if request.more_headers:
            start += _encoded(_lines(request.more_headers))
        if isinstance(body, bytes):
            return known.origin, b"%bcontent-length: %d\r\n\r\n" % (start, len(body))
        if body is not None:
            return known.origin, start + b"transfer-encoding: chunked\r\n\r\n"
        if request.method == "POST":
            return known.origin, start + b"content-length: 0\r\n\r\n"
        return known.origin, start + b"\r\n"

    def _learn(self, request: HttpRequest) -> _Known:
        headers = dict(request.headers)
        origin, host, target = self._address(request.url)
        lines = [f"{request.method} {target} HTTP/1.1", f"host: {host}", *_lines(headers)]
        known = _Known(origin, headers, _encoded(lines))
        if len(self._known) >= MAX_KNOWN_HEADS:  # a provider has a few addresses; only ids in paths make more
            self._known.clear()
        place = request.method, request.url
        self._known[place] = (known, *self._known.get(place, ())[: MAX_SETS_OF_HEADERS - 1])
        return known

    def _address(self, url: str) -> tuple[Origin, str, str]:
        """The origin, the Host header and the target of the request."""
        if not _URL.fullmatch(url):  # urlsplit would drop line ends without a word
            raise ValueError("the address holds a blank or a control character")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("the address has no proper host and port") from None
        if parts.scheme not in _DEFAULT_PORTS or not host or not host.isascii() or "@" in parts.netloc:
            raise ValueError("the address is not an http:// or https:// address of ASCII, without credentials")
        standard = _DEFAULT_PORTS[parts.scheme]
        port = port or standard
        key = (parts.scheme, host, port)
        origin = self._origins.setdefault(key, Origin(host, port, parts.scheme == "https"))
        shown = f"[{host}]" if ":" in host else host
        query = f"?{quote(parts.query, safe=_QUERY_SAFE)}" if parts.query else ""
        target = f"{quote(parts.path, safe=_PATH_SAFE) or '/'}{query}"
        return origin, shown if port == standard else f"{shown}:{port}", target


def _encoded(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def _lines(headers: Mapping[str, str]) -> list[str]:
    lines = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError("a header's name holds what no name may hold")
        if name.lower() in _OWN:
            raise ValueError(f"the header {name.lower()} is the client's own")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name.lower()} holds a control character")
        lines.append(f"{name}: {value}")
    return lines


__all__ = ["Origin", "RequestHeads"]
