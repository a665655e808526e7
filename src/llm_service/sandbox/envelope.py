"""What a behaviour does around a body: heads that are late, huge or endless, compression, redirects, closing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.messages import Data, Head, Headers, Raw, Step, Stop, Transfer, Wait

REDIRECT_TO: Final = "http://redirected.invalid/v1/chat/completions"

_BLOCK_BYTES: Final = 16 * 1024
_GZIP: Final = 31  # window bits of zlib for gzip's format
_CONTENT_TYPES: Final = {"octet-stream": "application/octet-stream", "text": "text/plain", "html": "text/html"}
_HEADER_LINE_BYTES: Final = 4096


def enveloped(steps: Iterable[Step], behaviour: Behaviour) -> Iterator[Step]:
    """The steps of a reply inside the envelope that the behaviour asks for."""
    if (delay_s := behaviour.seconds("slow-head")) is not None:
        yield Wait(delay_s)
    if behaviour.on("stall-head"):
        yield Wait(None)
    if (instead := _instead(behaviour)) is not None:
        yield from instead
        return
    if behaviour.on("informational"):
        yield Raw(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
    for step in _compressed(steps, behaviour):
        if isinstance(step, Head):
            yield _dressed(step, behaviour)
            yield from _endless(behaviour)
        else:
            yield step
    if behaviour.on("close") or behaviour.on("silent-close"):
        yield Stop.HANG_UP


def shown_status(behaviour: Behaviour, status: int) -> int:
    """The status that goes out in the end; 0 when none does."""
    if any(behaviour.on(name) for name in ("drop", "drop-reset", "stall-head", "cut-head", "endless-head")):
        return 0
    redirected = behaviour.on("redirect") or behaviour.on("redirect-to")
    return _redirect_status(behaviour) if redirected else status


def _instead(behaviour: Behaviour) -> Iterable[Step] | None:
    """Steps that take the place of any answer."""
    if behaviour.on("drop"):
        return [Stop.CLOSE]
    if behaviour.on("drop-reset"):
        return [Stop.RESET]
    if behaviour.on("cut-head"):
        return [Raw(b"HTTP/1.1 200 OK\r\ncontent-type: applica"), Stop.CLOSE]
    if behaviour.on("endless-head"):
        return _endless_head()
    if behaviour.on("redirect") or behaviour.on("redirect-to"):
        location = behaviour.word("redirect-to") or REDIRECT_TO
        return [Head(_redirect_status(behaviour), (("location", location),), Transfer.LENGTH)]
    return None


def _redirect_status(behaviour: Behaviour) -> int:
    return behaviour.count("redirect") or int(HTTPStatus.TEMPORARY_REDIRECT)


def _endless_head() -> Iterator[Step]:
    yield Raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    line = b"x-padding: " + b"a" * _HEADER_LINE_BYTES + b"\r\n"
    while True:
        yield Raw(line)


def _endless(behaviour: Behaviour) -> Iterator[Step]:
    if behaviour.on("endless-body"):
        block = Data(b" " * (_BLOCK_BYTES - 1) + b"\n")
    elif behaviour.on("endless-event"):
        yield Data(b'data: {"id":"')
        block = Data(b"a" * _BLOCK_BYTES)
    else:
        return
    while True:
        yield block


def _dressed(head: Head, behaviour: Behaviour) -> Head:
    headers = head.headers
    if (kind := behaviour.word("content-type")) is not None:
        headers = tuple(pair for pair in headers if pair[0] != "content-type")
        if kind != "none":
            headers = (("content-type", _CONTENT_TYPES.get(kind, kind)), *headers)
    if (size := behaviour.count("big-headers")) is not None:
        headers += _padding(size)
    if behaviour.on("close"):
        headers += (("connection", "close"),)
    head = replace(head, headers=headers)
    if behaviour.on("endless-body") or behaviour.on("endless-event"):
        return replace(head, transfer=Transfer.CHUNKED)
    return replace(head, transfer=Transfer.CLOSE) if behaviour.on("until-close") else head


def _padding(size: int) -> Headers:
    lines = max(1, size // _HEADER_LINE_BYTES)
    return tuple((f"x-padding-{line}", "a" * (size // lines)) for line in range(lines))


def _compressed(steps: Iterable[Step], behaviour: Behaviour) -> Iterator[Step]:
    bomb_bytes = behaviour.count("gzip-bomb")
    if behaviour.on("bad-gzip"):
        return (_encoded(step) if isinstance(step, Head) else step for step in steps)
    if bomb_bytes is None and not behaviour.on("gzip"):
        return iter(steps)
    return _gzipped(steps, bomb_bytes or 0)


def _gzipped(steps: Iterable[Step], bomb_bytes: int) -> Iterator[Step]:
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    for step in steps:
        if isinstance(step, Head):
            yield _encoded(step)
            for _ in range(bomb_bytes // (1024 * 1024)):
                yield Data(packer.compress(b" " * (1024 * 1024)))
            if bomb_bytes:
                yield Data(packer.compress(b"\n"))
        elif isinstance(step, Data):
            yield Data(packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH))
        else:
            yield step
    yield Data(packer.flush())


def _encoded(head: Head) -> Head:
    headers = (*head.headers, ("content-encoding", "gzip"))
    return replace(head, headers=headers, transfer=Transfer.CHUNKED)
