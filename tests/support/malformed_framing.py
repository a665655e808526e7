"""What is hardly HTTP, or not at all: each on a connection of its own."""

from collections.abc import Sequence
from random import Random

from tests.support.malformed_requests import CHAT_PATH, GOOD_BODY, HOST, Sent, wrong_in_body

LINE = f"POST {CHAT_PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n".encode()
LENGTH = b"Content-Length: %d\r\n" % len(GOOD_BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GOOD = LINE + LENGTH + b"\r\n" + GOOD_BODY

REFUSED: Sequence[bytes] = (
    b"\0\1\2\3\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40,  # TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"NONSENSE\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / FTP/1.1\r\n\r\n",
    b"GET  HTTP/1.1\r\n\r\n",
    b"get / HTTP/1.1\r\n\r\n",
    b"G\xc3\x89T / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nNo colon here\r\n\r\n",
    b"GET / HTTP/1.1\r\n: empty name\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nX\xff: a\r\n\r\n",
    b"GET /\r\nX: y HTTP/1.1\r\n\r\n",
    LINE + b"Content-Length: -1\r\n\r\n" + GOOD_BODY,
    LINE + b"Content-Length: +5\r\n\r\n" + GOOD_BODY,
    LINE + b"Content-Length: 5, 6\r\n\r\n" + GOOD_BODY,
    LINE + b"Content-Length: 0x5\r\n\r\n" + GOOD_BODY,
    LINE + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + GOOD_BODY,
    LINE + LENGTH + b"Content-Length: 7\r\n\r\n" + GOOD_BODY,
    LINE + LENGTH + CHUNKED + b"\r\n0\r\n\r\n",
    LINE + CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
    LINE + CHUNKED + b"\r\n-1\r\n{}\r\n0\r\n\r\n",
    LINE + CHUNKED + b"\r\n" + b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n",
    LINE + CHUNKED + b"\r\n2\r\n{}}\r\n0\r\n\r\n",
    LINE + b"Transfer-Encoding: identity, chunked, x\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    LINE + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    LINE + CHUNKED * 2 + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    LINE + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    LINE + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    LINE + b"Transfer-Encoding : chunked\r\n" + LENGTH + b"\r\n" + GOOD_BODY,
    LINE.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    LINE + LENGTH * 2 + b"\r\n" + GOOD_BODY,
    LINE + b"Content-Length: %d\x0b\r\n\r\n" % len(GOOD_BODY) + GOOD_BODY,
    LINE + LENGTH + CHUNKED + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    LINE + CHUNKED + b"\r\n2;a\nb\r\n{}\r\n0\r\n\r\n",
    LINE + CHUNKED + b"\r\n2;a\rb\r\n{}\r\n0\r\n\r\n",
    LINE + CHUNKED + b"\r\n2\n{}\n0\n\n",
    LINE + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://other/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x@other/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x:81/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    LINE + b"Content-Length: 3\r\n\r\n" + GOOD_BODY,  # what follows the three bytes is no request
    LINE + b"\r\n" + GOOD_BODY,  # no length: no body, and then no request
)
"""Answered with a 4xx and the end of the connection, at the latest for what follows the first answer."""

TOO_MUCH: Sequence[bytes] = (
    LINE + b"Content-Length: 99999999\r\n\r\n{",
    LINE + CHUNKED + b"\r\n30d41\r\n" + b" " * 200_001,
    LINE + b"X-Long: " + b"x" * 70_000,
    b"GET /" + b"x" * 70_000,
)
"""Refused though more is to come."""

LEFT: Sequence[bytes] = (
    b"",
    b"P",
    LINE,
    LINE + LENGTH + b"\r\n",
    LINE + LENGTH + b"\r\n" + GOOD_BODY[:20],
    LINE + CHUNKED + b"\r\n",
    LINE + CHUNKED + b"\r\n5\r\nab",
    LINE + CHUNKED + b"\r\n2\r\n{}\r\n",
    LINE + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n",
)
"""Half of a request, and then the client is gone."""


def refused(random: Random) -> Sent:
    return Sent(random.choice(REFUSED), ends=True)


def too_much(random: Random) -> Sent:
    return Sent(random.choice(TOO_MUCH))


def left(random: Random) -> Sent:
    return Sent(random.choice(LEFT), leaves_after_s=random.choice((0.001, 0.02)))


def pipelined(random: Random) -> Sent:
    """Several requests in one write: each is answered, or the connection ends with a refusal."""
    requests = [GOOD if random.random() < 0.3 else wrong_in_body(random).data for _ in range(random.randrange(2, 6))]
    return Sent(b"".join(requests), answers=len(requests))


def torn(random: Random) -> Sent:
    """A right or wrong request with a few of its bytes changed."""
    data = bytearray(GOOD if random.random() < 0.5 else wrong_in_body(random).data)
    for _ in range(random.choice((1, 1, 2, 5))):
        data[random.randrange(min(len(data), 300))] = random.randrange(256)
    return Sent(bytes(data), leaves_after_s=0.1)
