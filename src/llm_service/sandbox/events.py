"""What a behaviour does to the events of a stream before they are framed: functions from items to items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import orjson

from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.stream import Item, Mark

Items = Iterable[Item]

ODD_CHUNK: Final = 3
"""Content chunks before the one that is malformed."""

PROSE: Final = b"upstream says: the hamster has left the wheel"
"""What stands where JSON should be."""

_TEXT_KEYS: Final = (b'"content":"', b'"text":"', b'"reasoning_content":"', b'"arguments":"', b'"message":"')

_AZURE_START: Final = {
    "choices": [],
    "created": 0,
    "id": "",
    "model": "",
    "object": "",
    "prompt_filter_results": [
        {"prompt_index": 0, "content_filter_results": {"violence": {"filtered": False, "severity": "safe"}}}
    ],
}


def bent(items: Items, behaviour: Behaviour, *, comment: bytes) -> Items:
    """The items with everything that the behaviour asks of single events."""
    for name, bend in _BENDS:
        if behaviour.on(name):
            items = bend(items)
    return _commented(items, comment) if behaviour.on("comments") else items


def invalid_utf8(data: bytes) -> bytes:
    """The same JSON with two bytes in its first text that no UTF-8 text has."""
    at = _text_begins(data)
    return data[:at] + b"\xff\xfe" + data[at:]


def inside_character(data: bytes) -> bytes:
    """The JSON up to its first text, and two of the three bytes of a character."""
    return data[: _text_begins(data)] + "€".encode()[:2]


def _text_begins(data: bytes) -> int:
    """Where the first text of an answer or an error begins; the middle when there is none."""
    places = [data.find(key) + len(key) for key in _TEXT_KEYS if key in data]
    return min(places, default=len(data) // 2)


def _azure_start(items: Items) -> Iterator[Item]:
    yield Item(Mark.OTHER, orjson.dumps(_AZURE_START))
    yield from items


def _without_done(items: Items) -> Iterator[Item]:
    return (item for item in items if item.mark is not Mark.DONE)


def _done_twice(items: Items) -> Iterator[Item]:
    for item in items:
        yield item
        if item.mark is Mark.DONE:
            yield item


def _commented(items: Items, comment: bytes) -> Iterator[Item]:
    for item in items:
        yield Item(Mark.COMMENT, comment)
        yield item


def _one_odd(change: Callable[[bytes], bytes]) -> Callable[[Items], Iterator[Item]]:
    def bend(items: Items) -> Iterator[Item]:
        seen = 0
        for item in items:
            seen += item.mark is Mark.CONTENT
            odd = item.mark is Mark.CONTENT and seen == ODD_CHUNK + 1
            yield Item(item.mark, change(item.data), item.tokens) if odd else item

    return bend


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _prose(_: bytes) -> bytes:
    return PROSE


_BENDS: Final[tuple[tuple[str, Callable[[Items], Items]], ...]] = (
    ("azure-start", _azure_start),
    ("truncated-json", _one_odd(_half)),
    ("not-json", _one_odd(_prose)),
    ("bad-utf8", _one_odd(invalid_utf8)),
    ("no-done", _without_done),
    ("double-done", _done_twice),
)
