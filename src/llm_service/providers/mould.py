"""What the chunks of a stream have in common, so that most of them need no parsing."""

import re
from typing import Any, Final

import orjson

from llm_service.domain import Event

_TEXTS: Final = ("content", "reasoning_content", "reasoning")
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_PROBE: Final = "probe"
_NO_USAGE: Final = b',"usage":null}'


class Mould:
    """A chunk around its text. One that is the same up to the text's first quote, and from its last quote on, differs
    from it in that text alone if what is in between, quotes included, is one JSON string.

    Proof: where the first quote stands, a reader of JSON expects a value, and whichever string it finds, it goes on
    alike. That a value is expected there, and that it is the text, is shown by putting another text there.

    ``out``: what stands in place of ``after`` when the chunk is passed on.
    """

    __slots__ = ("_chunk", "_name", "after", "before", "out", "string_at", "string_to", "text_to")

    def __init__(self, before: bytes, after: bytes, out: bytes, chunk: dict[str, Any], name: str) -> None:
        """``before`` ends with the first quote; ``after`` and ``out`` begin with the last one."""
        self.before = before
        self.after = after
        self.out = out
        self.string_at = len(before) - 1
        self.text_to = -len(after)
        self.string_to = 1 - len(after)
        self._chunk = chunk
        self._name = name

    def chunk_of(self, raw: bytes) -> dict[str, Any]:
        """The decoded chunk of what was passed on."""
        text = orjson.loads(raw[self.string_at : 1 - len(self.out)])
        choice = self._chunk["choices"][0]
        return {**self._chunk, "choices": [{**choice, "delta": {**choice["delta"], self._name: text}}]}


class MouldedEvent(Event):
    """A chunk that was not parsed: what it says is known from its mould, and made when somebody looks."""

    __slots__ = ("_mould",)

    def __init__(self, seq: int, raw: bytes, mould: Mould) -> None:
        self.seq = seq
        self.raw = raw
        self.kind = "chunk"
        self.error = None
        self._chunk = None
        self._mould = mould

    @property
    def chunk(self) -> dict[str, Any]:
        """The decoded chunk, made once; to be read, not changed."""
        if self._chunk is None:
            self._chunk = self._mould.chunk_of(self.raw)
        return self._chunk


def mould_of(data: bytes, chunk: dict[str, Any]) -> Mould | None:
    """The mould of a chunk with one choice; ``None`` where its text is not the one thing that it says.

    ``chunk``: ``data`` decoded, perhaps without its ``usage``, which is null then.
    """
    choice = chunk["choices"][0]
    delta = choice["delta"]
    said = [name for name, value in delta.items() if name != "role" and value]
    if len(said) != 1 or said[0] not in _TEXTS or type(delta[said[0]]) is not str:
        return None
    name = said[0]
    key = b'"%b":' % name.encode()
    string = _STRING.search(data, data.find(key) + len(key))
    if data.count(key) != 1 or string is None:
        return None
    before, after = data[: string.start() + 1], data[string.end() - 1 :]
    out = after
    if "usage" not in chunk and after.endswith(_NO_USAGE):
        out = after[: -len(_NO_USAGE)] + b"}"
    probed = {**chunk, "choices": [{**choice, "delta": {**delta, name: _PROBE}}]}
    try:
        proven = orjson.loads(before + _PROBE.encode() + out) == probed
    except orjson.JSONDecodeError:
        return None
    return Mould(before, after, out, chunk, name) if proven else None
