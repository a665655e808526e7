"""An event stream means the same in whatever pieces it comes, and what the standard says."""

import re

import orjson

from fuzz.cuts import pieces
from llm_service.providers.sse import SseDecoder

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


def one(data: bytes) -> None:
    """``data``: what an upstream sends."""
    expected = plainly(data)
    assert decoded([data]) == expected
    assert decoded(pieces(data)) == expected


def decoded(cut: list[bytes]) -> list[tuple[bytes, bytes]]:
    decoder = SseDecoder()
    events = [event for piece in cut for event in decoder.feed(piece)]
    return [*events, *decoder.close()]


def plainly(data: bytes) -> list[tuple[bytes, bytes]]:
    """The events, line by line. WHATWG HTML, section 9.2.6, but for an end without a blank line."""
    events, held, kind = list[tuple[bytes, bytes]](), list[bytes](), b""
    lines = _LINE_END.split(data.removeprefix(_BOM))
    for number, line in enumerate(lines):
        if not line and number < len(lines) - 1:
            if held:
                events.append((b"\n".join(held), kind))
            held, kind = [], b""
        name, _, value = line.partition(b":")
        if name == b"data":
            held.append(value.removeprefix(b" "))
        elif name == b"event":
            kind = value.removeprefix(b" ")
    last = b"\n".join(held)
    return [*events, (last, kind)] if held and is_whole(last) else events


def is_whole(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data == b"[DONE]"
    return True
