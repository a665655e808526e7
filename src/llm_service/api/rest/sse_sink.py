"""A stream on its way to a REST client: events in, server-sent events out, at the client's pace."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson

from llm_service.api.client import Client, Waiting
from llm_service.api.errors import error_object
from llm_service.api.stream_facts import closing_facts
from llm_service.domain import (
    TERMINAL,
    Event,
    Head,
    LLMServiceError,
    Outcome,
    Reply,
    StreamCancelled,
    Subscription,
)
from llm_service.runtime import Clock, Tasks, TimerHandle
from llm_service.streams import Stream

DONE: Final = b"data: [DONE]\n\n"
CANCELLED: Final = "The stream was cancelled before its answer was complete."
KEEP_ALIVE: Final = b": keep-alive\n"  # never with a blank line: after an id it would be an event without data
StartHead = Callable[[Head | None], bytes]
"""Makes the header block of the response."""


class SseSink:
    """Writes one generation to one client.

    The response begins with the reply's head, or by itself after ``keep_alive_s`` of silence. What the client does
    not read in time pauses the generation: no more than what was read meanwhile is kept.
    """

    __slots__ = (
        "_backlog", "_catching_up", "_client", "_clock", "_id", "_keep_alive_s", "_seq", "_start_head", "_stream",
        "_tasks", "_terminal", "_timer", "_waiting", "_wrote_at", "ended", "head", "opened", "subscription",
    )  # fmt: skip

    def __init__(
        self,
        *,
        stream: Stream,
        client: Client,
        start_head: StartHead,
        keep_alive_s: float,
        clock: Clock,
        tasks: Tasks,
        after: int = 0,
    ) -> None:
        """``after``: the number of the last event that the client has had."""
        self.opened = False
        self.ended = False
        self.head: Head | None = None
        self.subscription: Subscription | None = None
        self._stream = stream
        self._id = b"id: %b." % stream.id.encode()
        self._client = client
        self._start_head = start_head
        self._keep_alive_s = keep_alive_s
        self._clock = clock
        self._tasks = tasks
        self._terminal: list[Event] = []
        self._backlog: list[tuple[bytes, bool]] = []
        self._waiting = False
        self._catching_up: asyncio.Task[None] | None = None
        self._seq = after
        self._wrote_at = clock.monotonic()
        self._timer: TimerHandle = clock.call_later(keep_alive_s, self._mind_silence)

    def write(self, batch: Sequence[Event]) -> None:
        """The events of one socket read, in one write."""
        prefix = self._id
        if len(batch) == 1 and batch[0].kind not in TERMINAL:
            event = batch[0]
            self._seq = event.seq
            self._put(b"%b%d\ndata: %b\n\n" % (prefix, event.seq, event.raw))
            return
        pieces = []
        for event in batch:
            if event.kind in TERMINAL:
                self._terminal.append(event)
            else:
                pieces.append(b"%b%d\ndata: %b\n\n" % (prefix, event.seq, event.raw))
        if pieces:
            self._seq = batch[-1].seq
            self._put(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def end(self, outcome: Outcome) -> None:
        """The last chunk tells what only the end knows; ``[DONE]``, or the error, is last."""
        events = [event for event in self._terminal if event.kind != "usage" or self._stream.include_usage]
        for event in events:
            if event.error is not None:
                self._close(self._error_event(event.seq, event.error))
                return
        if outcome.status != "ok":  # who reads on after the error is told it again
            self._close(self._error_event(self._seq, outcome.error or StreamCancelled(CANCELLED)))
            return
        rendered = [event.raw for event in events]
        if events:
            rendered[-1] = orjson.dumps({**events[-1].chunk, "llm": closing_facts(self._stream, self.head)})
        lines = [b"%b%d\ndata: %b\n\n" % (self._id, e.seq, raw) for e, raw in zip(events, rendered, strict=True)]
        self._close(b"".join([*lines, DONE]))

    def fail(self, error: LLMServiceError, *, seq: int = 0) -> None:
        """An error after the response has begun: the last event. ``seq``: of the last event that the client has had."""
        self._close(self._error_event(seq, error))

    def subscribe(self, reply: Reply) -> None:
        """Take the reply's events from now on."""
        self.head = reply.head
        if not self.opened:
            self._open(reply.head)
        subscription = reply.attach(self, self._seq)
        if not self.ended:
            self.subscription = subscription
            if self._waiting:
                subscription.pause()

    def leave(self) -> None:
        """The client is gone."""
        self.stop()
        self._let_go()

    def cut(self, error: LLMServiceError) -> None:
        """End the response, which begins with that where it has not begun."""
        if not self.ended:
            self._let_go()
            if not self.opened:
                self._open(None)
            self.fail(error, seq=self._seq)

    def _let_go(self) -> None:
        subscription, self.subscription = self.subscription, None
        if subscription is not None:
            subscription.detach()

    def stop(self) -> None:
        """Write nothing more by itself."""
        self.ended = True
        self._timer.cancel()

    async def written(self) -> None:
        """Wait until what was written last has been taken by the socket, or by nobody."""
        if self._catching_up is not None:
            await self._catching_up

    def _error_event(self, seq: int, error: LLMServiceError) -> bytes:
        body = {**error_object(error, request_id=self._stream.request_id), "stream_id": self._stream.id}
        if error.attempts:  # before any content: the head went out too early to tell
            body["attempts"] = error.attempts
        return b"%b%d\ndata: %b\n\n" % (self._id, seq, orjson.dumps(body))

    # -- time

    def _mind_silence(self) -> None:
        """After each ``keep_alive_s`` of silence a comment; the first of them opens the response."""
        if self.ended:
            return
        silent_s = self._clock.monotonic() - self._wrote_at
        if silent_s >= self._keep_alive_s:
            if not self.opened:
                self._open(None)
            if not self._waiting:
                self._put(KEEP_ALIVE)
            silent_s = 0.0
        self._timer = self._clock.call_later(self._keep_alive_s - silent_s, self._mind_silence)

    # -- the socket

    def _open(self, head: Head | None) -> None:
        self.opened = True
        self._mind(self._client.begin(self._start_head(head)))

    def _put(self, data: bytes) -> None:
        if self._waiting:
            self._backlog.append((data, True))
            return
        self._wrote_at = self._clock.monotonic()
        if (waiting := self._client.write(data)) is not None:
            self._mind(waiting)

    def _close(self, data: bytes) -> None:
        self.stop()
        self.subscription = None
        if self._waiting:
            self._backlog.append((data, False))
        else:
            self._mind(self._client.end(data))

    def _mind(self, waiting: Waiting) -> None:
        """Pause the generation where the client does not read."""
        if waiting is not None:
            self._waiting = True
            if self.subscription is not None:
                self.subscription.pause()
            self._catching_up = self._tasks.spawn(self._catch_up(waiting), name="wait for a slow client")

    async def _catch_up(self, waiting: Awaitable[None]) -> None:
        await waiting
        while self._backlog:
            pieces, self._backlog = self._backlog, []
            data = b"".join(piece for piece, _ in pieces)
            further = self._client.write(data) if pieces[-1][1] else self._client.end(data)
            if further is not None:
                await further
        self._waiting = False
        self._wrote_at = self._clock.monotonic()
        if self.subscription is not None and not self.ended:
            self.subscription.resume()
