"""From an answer to the steps on the wire: whole bodies and event streams, with all that a behaviour does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from llm_service.domain import fact_in_order
from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.bodies import body_steps, broken_body
from llm_service.sandbox.envelope import enveloped, shown_status
from llm_service.sandbox.events import bent, inside_character
from llm_service.sandbox.framing import Framer, Packer
from llm_service.sandbox.journal import Entry
from llm_service.sandbox.messages import Data, Head, Headers, Partial, Raw, Reply, Step, Stop, Transfer, Wait, complete
from llm_service.sandbox.stream import Item, Mark

KEEP_ALIVE_EVERY_S: Final = 0.1

_BREAKS: Final = ("end-after", "cut-after", "cut-inside", "cut-utf8", "reset-after", "bad-chunking")
_NO_STREAM: Final = ("html", "empty", "blank")


@fact_in_order
class Delivery:
    """How one answer is sent. The journal's entry grows with every chunk that goes out."""

    entry: Entry
    behaviour: Behaviour
    headers: Headers
    pace_s: float
    comment: bytes  # the provider's own, while it has nothing to say

    def whole(self, body: bytes, status: int = 200) -> Reply:
        """A body that is there at once."""
        self.entry.status = status
        if not self.behaviour:
            return complete(status, body, self.headers)
        head, body = broken_body(Head(status, self.headers, Transfer.LENGTH, len(body)), body, self.behaviour)
        steps = body_steps(head, body, self.behaviour, keep_alive=self._keep_alive(lambda: b"\n"))
        return self._enveloped(steps, head.status)

    def stream(self, items: Iterable[Item]) -> Reply:
        """A body that comes as server-sent events."""
        head = Head(200, self.headers, Transfer.CHUNKED)
        if not self.behaviour:
            self.entry.status = 200
            return Reply(steps=self._plain_steps(head, items))
        if any(self.behaviour.on(name) for name in _NO_STREAM):
            return self.whole(b"")
        return self._enveloped(self._stream_steps(head, bent(items, self.behaviour, comment=self.comment)), 200)

    def _enveloped(self, steps: Iterable[Step], status: int) -> Reply:
        self.entry.status = shown_status(self.behaviour, status)
        return Reply(steps=enveloped(steps, self.behaviour))

    def _plain_steps(self, head: Head, items: Iterable[Item]) -> Iterator[Step]:
        """The usual case, without detours: one write per event."""
        entry, pause = self.entry, Wait(self.pace_s)
        yield head
        for item in items:
            if item.mark is Mark.CONTENT:
                if self.pace_s and entry.chunks:
                    yield pause
                entry.chunks += 1
            entry.output_tokens += item.tokens
            yield Data(b": %b\n\n" % item.data if item.mark is Mark.COMMENT else b"data: %b\n\n" % item.data)

    def _stream_steps(self, head: Head, items: Iterable[Item]) -> Iterator[Step]:
        behaviour = self.behaviour
        framer, packer = Framer(behaviour), Packer(behaviour)
        yield head
        if (delay_s := behaviour.seconds("slow-first-byte")) is not None:
            yield Wait(delay_s)
        yield from self._keep_alive(lambda: framer.frame(Item(Mark.COMMENT, self.comment)))
        for item in self._until_broken(items):
            if isinstance(item, Item):
                yield from packer.add(framer.frame(item))
            elif isinstance(item, Wait):
                yield from packer.flush()
                yield item
            else:
                yield from packer.flush()
                yield from _break(*item, framer)
                return
        yield from packer.flush()

    def _until_broken(self, items: Iterable[Item]) -> Iterator[Item | Wait | tuple[str, Item]]:
        """The items with their pauses, up to the place where the behaviour breaks off."""
        entry, stall = self.entry, self.behaviour.count("stall-after")
        pace_s = self.behaviour.seconds("pace")
        pause = Wait(self.pace_s if pace_s is None else pace_s)
        breaks = [(name, at) for name in _BREAKS if (at := self.behaviour.count(name)) is not None]
        for item in items:
            if stall is not None and self._is_reached(stall, item):
                yield from self._silence()
                stall = None
            for name, at in breaks:
                if self._is_reached(at, item):
                    yield name, item
                    return
            if item.mark is Mark.CONTENT:
                if pause.seconds and entry.chunks:
                    yield pause
                entry.chunks += 1
            entry.output_tokens += item.tokens
            yield item

    def _is_reached(self, at: int, item: Item) -> bool:
        """Whether `at` content chunks have gone and this item would be one too many."""
        due = item.mark in (Mark.CONTENT, Mark.FINISH, Mark.DONE) or at == 0
        return due and (self.entry.chunks >= at or item.mark is not Mark.CONTENT)

    def _silence(self) -> Iterator[Item | Wait]:
        """A stall; with `keep-alive-every` it is filled with comments."""
        left_s, every_s = self.behaviour.seconds("stall-for"), self.behaviour.seconds("keep-alive-every")
        if not every_s:
            yield Wait(left_s)
            return
        while left_s is None or left_s > 0:
            yield Item(Mark.COMMENT, self.comment)
            yield Wait(every_s if left_s is None else min(every_s, left_s))
            left_s = None if left_s is None else left_s - every_s

    def _keep_alive(self, line: Callable[[], bytes]) -> Iterator[Step]:
        left_s = self.behaviour.seconds("keep-alive") or 0.0
        every_s = self.behaviour.seconds("keep-alive-every") or KEEP_ALIVE_EVERY_S
        while left_s > 0:
            yield Data(line())
            yield Wait(min(every_s, left_s))
            left_s -= every_s


def _break(name: str, item: Item, framer: Framer) -> Iterator[Step]:
    framed = framer.frame(item)
    if name == "end-after":
        yield Stop.END
    elif name == "cut-after":
        yield Stop.CLOSE
    elif name == "reset-after":
        yield Stop.RESET
    elif name == "bad-chunking":
        yield Raw(b"zz\r\n" + framed)
        yield Stop.CLOSE
    else:
        yield Partial(inside_character(framed) if name == "cut-utf8" else framed[: len(framed) // 2])
        yield Stop.CLOSE
