"""From an answer to the steps on the wire: whole bodies and event streams, with everything a behaviour does to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.journal import Entry
from llm_service.sandbox.messages import Data, Head, Headers, Reply, Step, Transfer, Wait, complete
from llm_service.sandbox.stream import Item, Mark

DEFAULT_KEEP_ALIVE_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one answer is sent."""

    entry: Entry
    behaviour: Behaviour
    headers: Headers
    pace_s: float
    comment: bytes  # the provider's keep-alive comment

    def whole(self, body: bytes, status: int = 200) -> Reply:
        """A body that is there at once."""
        self.entry.status = status
        if not self.behaviour:
            return complete(status, body, self.headers)
        return Reply(steps=self._whole_steps(body, status))

    def stream(self, items: Iterable[Item]) -> Reply:
        """A body that comes as server-sent events."""
        self.entry.status = 200
        return Reply(steps=self._stream_steps(items))

    def _whole_steps(self, body: bytes, status: int) -> Iterator[Step]:
        behaviour = self.behaviour
        if (delay := behaviour.seconds("slow-head")) is not None:
            yield Wait(delay)
        keep_alive = behaviour.seconds("keep-alive")
        yield Head(status, self.headers, Transfer.CHUNKED)
        if (delay := behaviour.seconds("slow-first-byte")) is not None:
            yield Wait(delay)
        if keep_alive is not None:
            yield from self._keep_alive(keep_alive, b"\n")
        yield Data(body)

    def _stream_steps(self, items: Iterable[Item]) -> Iterator[Step]:
        behaviour = self.behaviour
        if (delay := behaviour.seconds("slow-head")) is not None:
            yield Wait(delay)
        yield Head(200, self.headers, Transfer.CHUNKED)
        if (delay := behaviour.seconds("slow-first-byte")) is not None:
            yield Wait(delay)
        if (keep_alive := behaviour.seconds("keep-alive")) is not None:
            yield from self._keep_alive(keep_alive, b": %b\n\n" % self.comment)
        pace_s = behaviour.seconds("pace")
        pause = Wait(self.pace_s if pace_s is None else pace_s)
        entry = self.entry
        for item in items:
            if item.mark is Mark.COMMENT:
                yield Data(b": %b\n\n" % item.data)
                continue
            if item.mark is Mark.CONTENT:
                if pause.seconds and entry.chunks:
                    yield pause
                entry.chunks += 1
                entry.output_tokens += item.tokens
            yield Data(b"data: %b\n\n" % item.data)

    def _keep_alive(self, seconds: float, line: bytes) -> Iterator[Step]:
        every = self.behaviour.seconds("keep-alive-every") or DEFAULT_KEEP_ALIVE_EVERY_S
        left = seconds
        while left > 0:
            yield Data(line)
            yield Wait(min(every, left))
            left -= every
