"""Requests as bytes on the wire: wrong heads, methods, paths and framings around bodies that are wrong or right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.support.malformed_bodies import wrong_body

CHAT_PATH = "/v1/chat/completions"
GOOD_BODY = b'{"model": "plain/sandbox/chat", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}'
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Sent:
    """What goes out on a connection, and how many ``answers`` come back unless the service ends the connection.

    ``ends``: it has to end it. ``leaves_after_s``: the client does, whatever came back by then.
    """

    data: bytes
    method: str = "POST"
    answers: int = 1
    ends: bool = False
    leaves_after_s: float = 0.0


def a_request(method: str, path: str, headers: Mapping[str, str], body: bytes, *, version: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape") + body


def right_headers(body: bytes) -> dict[str, str]:
    return {"Host": HOST, "Content-Type": "application/json", "Content-Length": str(len(body))}


def wrong_in_body(random: Random) -> Sent:
    path, body = wrong_body(random)
    return Sent(a_request("POST", path, right_headers(body), body))


def wrong_in_head(random: Random) -> Sent:
    """A head that is HTTP, and yet wrong, around a right or a wrong body."""
    path, body = (CHAT_PATH, GOOD_BODY) if random.random() < 0.5 else wrong_body(random)
    headers = right_headers(body)
    for _ in range(random.choice((1, 1, 2, 3))):
        name, value = random.choice(ODD_HEADERS)
        headers[name] = value
    return Sent(a_request("POST", path, headers, body))


def wrong_in_line(random: Random) -> Sent:
    """A method, a path or a query that is not served, or hardly."""
    method = random.choice(("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "POST", "POST", "QUERY", "PROPFIND"))
    path = random.choice(ODD_PATHS) if random.random() < 0.7 else CHAT_PATH
    path += random.choice(("", "", "?", "?a=b&a=c", "?%00=%ff", "?" + "q" * 2000, "?model=x#y", "?\u00e9"))
    body = GOOD_BODY if method in ("POST", "PUT", "PATCH") or random.random() < 0.2 else b""
    return Sent(a_request(method, path, right_headers(body), body), method)


def chunked(random: Random) -> Sent:
    """A body in pieces, rightly framed: right or wrong, the answer comes and the connection goes on."""
    path, body = (CHAT_PATH, GOOD_BODY) if random.random() < 0.3 else wrong_body(random)
    size = random.choice((1, 7, 1000)) if len(body) < 2000 else 1000
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    extension = random.choice(("", ";a=b", ";a"))
    framed = b"".join(f"{len(piece):x}{extension}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    trailer = random.choice((b"", b"X-Trailer: 1\r\n"))
    headers = right_headers(body) | {"Transfer-Encoding": "chunked"}
    del headers["Content-Length"]
    return Sent(a_request("POST", path, headers, framed + b"0\r\n" + trailer + b"\r\n"))


KEPT: Sequence[Callable[[Random], Sent]] = (*[wrong_in_body] * 12, *[wrong_in_head] * 3, *[wrong_in_line] * 2, chunked)
"""What a connection survives, in their shares."""

ODD_HEADERS: Sequence[tuple[str, str]] = (
    ("Content-Type", "text/plain"),
    ("Content-Type", ""),
    ("Content-Type", "multipart/form-data; boundary=" + "x" * 500),
    ("Content-Type", "application/json; charset=utf-16"),
    ("Content-Type", "application/jsonp"),
    ("Content-Type", "\u00e9"),
    ("Content-Encoding", "gzip"),
    ("Host", "evil.example"),
    ("Host", ""),
    ("Host", "127.0.0.1:99999999"),
    ("Host", "[::1"),
    ("Host", "127.0.0.1/../admin"),
    ("Authorization", "Bearer sk-test-not-a-key"),
    ("Authorization", "Basic bG9jYWw6bG9jYWw="),
    ("Authorization", "Bearer"),
    ("Authorization", "\u00e9\u00ff"),
    ("Authorization", "Bearer " + "k" * 4000),
    ("X-Api-Key", "sk-test-not-a-key"),
    ("X-Api-Key", "\u0131"),
    ("Origin", "https://evil.example"),
    ("Origin", "null"),
    ("Origin", "http://[::1"),
    ("Forwarded", "for=127.0.0.1"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-LLM-Timeout-S", "soon"),
    ("X-LLM-Timeout-S", "nan"),
    ("X-LLM-Timeout-S", "-1"),
    ("X-LLM-Timeout-S", "1e999"),
    ("X-LLM-Timeout-S", "1_0"),
    ("X-LLM-Timeout-S", "\u0663"),
    ("X-Request-Id", "a\tb"),
    ("Accept", "text/html;q=x"),
    ("Range", "bytes=0-0"),
    ("Cookie", "a=" + "b" * 3000),
    ("traceparent", "00-zz"),
    ("Last-Event-ID", "\u0000x".replace("\u0000", "%00")),
    ("Idempotency-Key", "\u00fc" * 300),
    ("Upgrade", "websocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("TE", "trailers"),
    ("X-" + "n" * 900, "v" * 900),
)
ODD_PATHS: Sequence[str] = (
    "/",
    "//",
    "/v1",
    "/v1/",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/chat/completions//",
    "/V1/CHAT/COMPLETIONS",
    "/v1/chat/completions/x",
    "/v1/chat%2Fcompletions",
    "/v1/%63hat/completions",
    "/v1/chat/completions%00",
    "/v1/chat/completions;x=y",
    "/../v1/models",
    "/v1/../etc/passwd",
    "/v1/models/%",
    "/v1/models/%ff%fe",
    "/v1/models/" + "x" * 5000,
    "/v1/models/plain/%2e%2e/%2e%2e",
    "/v1/models/\u00e9",
    "/docs/%2e%2e/secret",
    "/docs/../../pyproject.toml",
    "/docs/none.js",
    "/openapi.json/",
    "/admin/keys",
    "/metrics",
    "/graphql",
    "/v1/responses",
    "/v1/messages",
    "/health/x",
    "/\u2603",
    "/%e2%98%83",
    "/%",
    "http://evil.example/v1/models",
    "http://127.0.0.1/v1/chat/completions",
)
