"""Heads that are HTTP and yet not taken: they might be read in another way by whoever stands in front of us."""

from collections.abc import Sequence
from typing import Any, Final

Headers = Sequence[tuple[bytes, bytes]]
VERSIONS: Final = frozenset(("1.0", "1.1"))


def head_problem(parser: Any, url: bytes, headers: Headers) -> str | None:
    """What a client is told, if its head is one of these; ``parser``: httptools', which has just read it.

    No tunnels, no other version, no transfer coding but chunks, and none in HTTP/1.0 (RFC 9112, sections 2.3, 6.1); an
    address in absolute form must name the Host (section 3.2.2).
    """
    version = parser.get_http_version()
    if version not in VERSIONS:
        return "Only HTTP/1.1 and HTTP/1.0 are spoken here."
    if parser.get_method() == b"CONNECT":
        return "There are no tunnels here."
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings and (version == "1.0" or len(codings) > 1 or codings[0].strip().lower() != b"chunked"):
        return "A body may come in chunks, in HTTP/1.1, and in no other transfer coding."
    if url[:1] != b"/" and url != b"*" and not _names_the_host(url, headers):
        return "The address names another host than the header Host does."
    return None


def _names_the_host(url: bytes, headers: Headers) -> bool:
    scheme, named, rest = url.partition(b"://")
    authority = rest.replace(b"?", b"/").replace(b"#", b"/").partition(b"/")[0]
    hosts = [value.strip().lower() for name, value in headers if name == b"host"]
    return bool(named) and scheme.lower() in (b"http", b"https") and hosts == [authority.lower()]
