"""Server-sent events as bytes, in every framing that the standard allows and some that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.messages import Data, Step, Wait
from llm_service.sandbox.stream import Item, Mark

_BOM: Final = b"\xef\xbb\xbf"
_AT_ONCE: Final = Wait(0)
"""No pause, but a turn for the reader: pieces arrive one by one."""


class Framer:
    """Turns items into the bytes of events."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._eol = b"\r\n" if behaviour.on("crlf") else b"\r" if behaviour.on("cr") else b"\n"
        self._colon = b":" if behaviour.on("no-space") else b": "
        self._several_lines = behaviour.on("multi-line")
        self._fields = behaviour.on("ids")
        self._bom = _BOM if behaviour.on("bom") else b""
        self._serial = 0

    def frame(self, item: Item) -> bytes:
        """One event, or a comment followed by an empty line."""
        start, self._bom = self._bom, b""
        if item.mark is Mark.COMMENT:
            return start + b":" + b" " + item.data + self._eol + self._eol
        lines = self._meta(item)
        lines += [b"data" + self._colon + line for line in self._data_lines(item)]
        return start + self._eol.join(lines) + self._eol + self._eol

    def _meta(self, item: Item) -> list[bytes]:
        lines = [b"event" + self._colon + item.event.encode()] if item.event else []
        if self._fields:
            self._serial += 1
            lines += [b"id" + self._colon + b"%d" % self._serial, b"retry" + self._colon + b"3000"]
        return lines

    def _data_lines(self, item: Item) -> list[bytes]:
        if not self._several_lines or item.mark is Mark.DONE or not item.data.startswith(b"{"):
            return [item.data]
        return orjson.dumps(orjson.loads(item.data), option=orjson.OPT_INDENT_2).split(b"\n")


class Packer:
    """Groups framed bytes into writes: one per event, several events, pieces of a fixed size, single bytes."""

    def __init__(self, behaviour: Behaviour) -> None:
        dribble_s = behaviour.seconds("dribble")
        self._size = 1 if dribble_s is not None else behaviour.count("split") or 0
        self._between = Wait(dribble_s) if dribble_s else _AT_ONCE
        self._merged = behaviour.count("merged")
        self._held: list[bytes] = []
        self._rest = b""

    def add(self, data: bytes) -> Iterator[Step]:
        """The writes that are due now."""
        if self._size:
            yield from self._pieces(data)
        elif self._merged is not None:
            self._held.append(data)
            if len(self._held) == self._merged:
                yield from self.flush()
        else:
            yield Data(data)

    def flush(self) -> Iterator[Step]:
        """What has been held back so far."""
        held, self._held = b"".join(self._held) + self._rest, []
        self._rest = b""
        if held:
            yield Data(held)

    def _pieces(self, data: bytes) -> Iterator[Step]:
        data = self._rest + data
        whole = len(data) - len(data) % self._size
        for at in range(0, whole, self._size):
            yield Data(data[at : at + self._size])
            yield self._between
        self._rest = data[whole:]
