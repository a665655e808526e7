"""What comes in (a request) and what goes out (a row of steps that the connection plays), as plain values."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from llm_service.domain import fact_in_order

Json = dict[str, Any]
Headers = tuple[tuple[str, str], ...]

JSON_TYPE = ("content-type", "application/json")


@fact_in_order
class Request:
    """One HTTP request, whole; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def build(cls, *, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        """Split the target into path and query."""
        path, _, query = target.partition("?")
        return cls(method, path, dict(parse_qsl(query)) if query else {}, headers, body)


class Transfer(enum.Enum):
    """How the end of a body is told."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@fact_in_order
class Head:
    """Status line and headers; `length` is announced with Transfer.LENGTH alone."""

    status: int
    headers: Headers = ()
    transfer: Transfer = Transfer.CHUNKED
    length: int = 0

    def encode(self) -> bytes:
        """The bytes on the wire, empty line included."""
        lines = [f"HTTP/1.1 {self.status} {reason(self.status)}"]
        lines.extend(f"{name}: {value}" for name, value in self.headers)
        if self.transfer is Transfer.LENGTH:
            lines.append(f"content-length: {self.length}")
        elif self.transfer is Transfer.CHUNKED:
            lines.append("transfer-encoding: chunked")
        else:
            lines.append("connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@fact_in_order
class Data:
    """Bytes of the body: one write and, in a chunked body, one HTTP chunk."""

    data: bytes


@fact_in_order
class Raw:
    """Bytes for the wire as they are, whatever the framing says."""

    data: bytes


@fact_in_order
class Partial:
    """The beginning of an HTTP chunk that promises one byte more than ever comes."""

    data: bytes


@fact_in_order
class Wait:
    """Silence; None lasts until the client has gone."""

    seconds: float | None


class Stop(enum.Enum):
    """An end before the end, or another end than the usual one."""

    END = "end"  # the body ends properly, though the answer is not complete
    HANG_UP = "hang up"  # the body ends properly, then FIN
    CLOSE = "close"  # FIN, whatever the framing still owes
    RESET = "reset"  # RST


Step = Head | Data | Raw | Partial | Wait | Stop


class Ending(enum.Enum):
    """How an exchange came to its end, as the journal names it."""

    COMPLETED = "completed"
    BROKEN = "broken"  # by us, as the behaviour asked for
    CANCELLED = "cancelled"  # the client went away


@fact_in_order
class Reply:
    """Either `whole`, a complete answer for one write, or `steps`, played one by one.

    `ended` hears of the end; only its first word counts.
    """

    whole: bytes | None = None
    steps: Iterable[Step] = ()
    ended: Callable[[Ending], None] | None = None


def complete(status: int, body: bytes, headers: Headers = (JSON_TYPE,)) -> Reply:
    """A whole answer with its length."""
    return Reply(whole=Head(status, headers, Transfer.LENGTH, len(body)).encode() + body)


def without_body(reply: Reply) -> Reply:
    """The same answer to a HEAD request."""
    head, end, _ = (reply.whole or b"").partition(b"\r\n\r\n")
    return replace(reply, whole=head + end) if end else reply


def reason(status: int) -> str:
    """The reason phrase, also for numbers that only content networks use."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unassigned"
