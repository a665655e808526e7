"""What the head of an HTTP request says, and who sends it; a WebSocket begins with one too."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llm_service.domain import Credentials, InvalidRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, bytes]

AT_ADMIN_PORT: Final = "at_admin_port"
"""In the state of a scope: it came by the port of operators."""
_FORWARDED: Final = frozenset(
    (
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"x-original-forwarded-for"),
        *(b"true-client-ip", b"cf-connecting-ip", b"fastly-client-ip", b"x-envoy-external-address"),
        *(b"x-original-url", b"x-rewrite-url", b"x-original-host", b"x-original-uri", b"x-proxyuser-ip"),
    )
)
"""What proxies add, beside all that begins with ``x-forwarded``: RFC 7239 and 9110, and the words of their makers."""
_FORWARDED_BEGINS: Final = b"\nx-forwarded"
"""Behind the end of another name."""
_ONCE: Final = (
    b"host",
    b"authorization",
    b"x-api-key",
    b"origin",
    b"content-type",
    b"x-llm-timeout-s",
    b"x-llm-user",
    b"x-llm-tags",
    b"idempotency-key",
    b"last-event-id",
    b"cookie",
    b"x-llm-csrf",
)
SESSION_COOKIES: Final = ("__Host-llm-session", "llm-session")
"""Where a browser keeps its session: over TLS, where no other host may set it (RFC 6265bis section 4.1.3.2), else."""
_SAFE: Final = frozenset(("GET", "HEAD"))


def at_admin_port(scope: Scope) -> bool:
    """Whether a request, or a WebSocket, came by the port of operators."""
    return AT_ADMIN_PORT in scope.get("state", ())


class HungUp(Exception):
    """The client left before its request was complete; there is nobody to answer."""


def headers_of(scope: Scope) -> Headers:
    """The request's headers by name. Raises InvalidRequest where one that decides something comes twice.

    So too without a Host in HTTP/1.1 (RFC 9112 section 3.2).
    """
    pairs = scope["headers"]
    return checked_headers(dict(pairs), pairs, version=scope.get("http_version", ""))


def checked_headers(headers: dict[bytes, bytes], pairs: Sequence[tuple[bytes, bytes]], *, version: str) -> Headers:
    """The same of ``pairs`` that have been put into a dictionary, in HTTP of a version such as ``1.1``."""
    if len(headers) < len(pairs):
        names = [name for name, _ in pairs]
        for name in _ONCE:
            if names.count(name) > 1:
                raise InvalidRequest(f"The header {name.decode()} may come only once.")
        _join_trace_headers(headers, pairs)
    if b"host" not in headers and version == "1.1":
        raise InvalidRequest("A request in HTTP/1.1 needs the header Host.")
    return headers


def _join_trace_headers(headers: dict[bytes, bytes], pairs: Sequence[tuple[bytes, bytes]]) -> None:
    """Several ``tracestate`` are one list; several ``traceparent`` are none (W3C Trace Context, sections 3.2, 3.3)."""
    if sum(name == b"traceparent" for name, _ in pairs) > 1:
        headers.pop(b"traceparent", None)
    states = [value for name, value in pairs if name == b"tracestate"]
    if len(states) > 1:
        headers[b"tracestate"] = b",".join(states)


def peer_of(scope: Scope) -> str | None:
    """The address of the other end, whoever it stands for."""
    client = scope.get("client")
    return client[0] if client else None


def credentials_of(scope: Scope, headers: Headers) -> Credentials:
    """What the request shows of its sender."""
    method, peer = scope["method"], peer_of(scope)
    if scope.get("type") == "websocket":  # browsers send cookies with any page's
        return _credentials(headers, method=method, peer=peer)
    return credentials_in(headers, method=method, peer=peer)


def credentials_in(headers: Headers, *, method: str, peer: str | None) -> Credentials:
    """The same of a request over HTTP, from what carries it."""
    if b"cookie" in headers:
        return _credentials_of_page(headers, method=method, peer=peer)
    return _credentials(headers, method=method, peer=peer)


def _credentials(headers: Headers, *, method: str, peer: str | None) -> Credentials:
    origin = headers.get(b"origin")
    content_type = headers.get(b"content-type", b"")
    return Credentials(
        key=key_in(headers),
        peer=peer,
        host=headers.get(b"host", b"").decode("latin-1"),
        origin=None if origin is None else origin.decode("latin-1"),
        forwarded=_is_forwarded(headers),
        json_body=method != "POST" or content_type[:16].lower() == b"application/json",
    )


def _is_forwarded(headers: Headers) -> bool:
    return not _FORWARDED.isdisjoint(headers) or _FORWARDED_BEGINS in b"\n".join((b"", *headers))


def _credentials_of_page(headers: Headers, *, method: str, peer: str | None) -> Credentials:
    """The same of a browser that keeps something for us."""
    without = {name: value for name, value in headers.items() if name != b"cookie"}
    return replace(
        _credentials(without, method=method, peer=peer),
        session=session_in(headers),
        csrf=headers.get(b"x-llm-csrf", b"").decode("latin-1"),
        site=headers[b"sec-fetch-site"].decode("latin-1") if b"sec-fetch-site" in headers else None,
        safe=method in _SAFE,
    )


def session_in(headers: Headers) -> str | None:
    """The session that a browser keeps for us, if one."""
    pairs = (pair.strip().partition("=") for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"))
    kept = {name: value for name, _, value in pairs if name in SESSION_COOKIES}
    return next((kept[name] for name in SESSION_COOKIES if kept.get(name)), None)


def key_in(headers: Headers) -> str | None:
    """The presented key. An empty Bearer counts as none: clients send it when they were given no key."""
    scheme, _, key = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme and scheme.lower() != b"bearer":
        return headers[b"authorization"].decode("latin-1")  # some other scheme: a key that nobody has
    key = key.strip() or headers.get(b"x-api-key", b"").strip()
    return key.decode("latin-1") or None
