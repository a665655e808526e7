"""Heads that are HTTP and yet not taken: they might be read in another way by whoever stands in front of us."""

from collections.abc import Sequence
from typing import Any, Final

Headers = Sequence[tuple[bytes, bytes]]
VERSIONS: Final = frozenset(("1.0", "1.1"))
_OF_HOSTS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~!$&'()*+,;=%:[]"
"""What a host and its port are made of (RFC 3986, section 3.2.2)."""
_OWN_PORTS: Final = {b"http": b":80", b"https": b":443"}


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
    if url[:1] != b"/" and url != b"*" and not _names_the_host(url, headers, version):
        return "The address names another host than the header Host does."
    return None


def _names_the_host(url: bytes, headers: Headers, version: str) -> bool:
    """Whether an address in absolute form names the only Host; in HTTP/1.0 there need be none."""
    scheme, _, rest = url.partition(b"://")
    own_port = _OWN_PORTS.get(scheme.lower())
    authority = rest.replace(b"?", b"/").replace(b"#", b"/").partition(b"/")[0]
    if own_port is None or not authority or authority.translate(None, _OF_HOSTS):
        return False
    hosts = [value.strip().lower() for name, value in headers if name == b"host"]
    named = authority.lower().removesuffix(own_port)
    return [host.removesuffix(own_port) for host in hosts] == [named] or (version == "1.0" and not hosts)
