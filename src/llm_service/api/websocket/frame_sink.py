"""A stream on its way to a client of a WebSocket: events in, frames out, at the pace of its socket and its credit."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from llm_service.api.websocket.frames import ChunkForm, done, failed, started
from llm_service.api.websocket.wire import Wire
from llm_service.domain import Event, Head, LLMServiceError, Outcome, Reply, StreamCancelled, StreamInterrupted
from llm_service.domain import Subscription as Hold
from llm_service.runtime import Clock, TimerHandle
from llm_service.streams import Stream

CANCELLED: Final = "The stream was cancelled before its answer was complete."
WRITE_BYTES: Final = 32 * 1024
CREDIT_S: Final = 300.0
"""How long a generation waits for credit before it is given up, like a client that takes nothing."""


class FrameSink:
    """Writes one generation to one client, who knows it by ``name``.

    What cannot be sent yet, because the socket is full or the credit used up, stays in the generation's log: its
    upstream is paused, and the events that have come already are held as they are. ``credit``: chunks that may still be
    sent; ``None``: any number. ``chunks``: those that were sent.
    """

    __slots__ = (
        "_clock", "_credit", "_done", "_failure", "_flowing", "_form", "_hold", "_name", "_on_end", "_outcome",
        "_patience", "_paused", "_pending", "_seq", "_stream", "_wire", "chunks", "ended", "head", "opened",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        stream: Stream,
        wire: Wire,
        *,
        clock: Clock,
        credit: int | None = None,
        after: int = 0,
        on_end: Callable[[], None],
    ) -> None:
        """``after``: the number of the last event that the client has had. ``on_end``: the last frame is written."""
        self.opened = False
        self.ended = False
        self.chunks = 0
        self.head: Head | None = None
        self._name = name
        self._stream = stream
        self._wire = wire
        self._clock = clock
        self._on_end = on_end
        self._credit = credit
        self._seq = after
        self._form = ChunkForm(name, stream.id)
        self._pending = deque[Event]()
        self._hold: Hold | None = None
        self._paused = False
        self._flowing = False
        self._failure: LLMServiceError | None = None
        self._outcome: Outcome | None = None
        self._patience: TimerHandle | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- what the generation says

    def write(self, batch: Sequence[Event]) -> None:
        """The events of one socket read."""
        for event in batch:
            if event.kind == "error":
                self._failure = event.error
            elif event.kind != "usage" or self._stream.include_usage:
                self._pending.append(event)
        self.flow()

    def end(self, outcome: Outcome) -> None:
        """Nothing follows but what is still held."""
        self._outcome = outcome
        self._hold = None
        self.flow()

    # -- what the door does

    def subscribe(self, reply: Reply) -> None:
        """Say who answers, and take the reply's events from now on."""
        self.head = reply.head
        self.opened = True
        self._wire.write(started(self._name, self._stream, reply.head))
        self._paused = self._wire.full or self._credit == 0
        hold = reply.attach(self, self._seq)
        if not self.ended and self._outcome is None:
            self._hold = hold
            if self._paused:
                self._paused = False
                self._pause()

    def add_credit(self, chunks: int) -> None:
        """So many chunks more may be sent; before the first time any number might."""
        self._credit = (self._credit or 0) + chunks
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.flow()

    def leave(self) -> None:
        """The client is gone."""
        self._let_go()
        self._close()

    def cut(self, error: LLMServiceError) -> None:
        """End with this error, whether or not anything was said before."""
        if not self.ended:
            self._let_go()
            self.fail(error)

    def fail(self, error: LLMServiceError) -> None:
        """An error is the last that the client hears of it."""
        if self.ended:
            return
        frame = failed(
            self._stream.failure(error) if self.opened else error,
            request_id=self._stream.request_id,
            name=self._name,
            stream_id=self._stream.id if self.opened else None,
            after=self._seq,
        )
        self._wire.write(frame)
        self._close()

    async def written(self) -> None:
        """Until it has ended."""
        await asyncio.shield(self._done)

    def _let_go(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.detach()

    def _close(self) -> None:
        if self.ended:
            return
        self.ended = True
        self._pending.clear()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._done.set_result(None)
        on_end, self._on_end = self._on_end, _nothing  # it knows whose sink this is: kept, they would be garbage
        on_end()

    # -- the flow

    def flow(self) -> None:
        """Send what may be sent, such as when the socket's room changes; then the generation goes on, waits or ends."""
        if self._flowing or self.ended:
            return
        self._flowing = True
        try:
            while self._pending and self._credit != 0 and not self._wire.full:
                self._wire.write(self._next_frames())
        finally:
            self._flowing = False
        if self._outcome is not None and not self._pending:
            self._finish(self._outcome)
        elif self._pending or self._credit == 0 or self._wire.full:
            self._pause()
        elif self._paused:
            self._paused = False
            if self._hold is not None:
                self._hold.resume()

    def _next_frames(self) -> bytes:
        pending, form = self._pending, self._form
        frames: list[bytes] = []
        size = 0
        while pending and self._credit != 0 and size < WRITE_BYTES:
            event = pending.popleft()
            self._seq = event.seq
            frame = form.of(event)
            frames.append(frame)
            self.chunks += 1
            size += len(frame)
            if self._credit is not None:
                self._credit -= 1
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _pause(self) -> None:
        if self._credit == 0 and self._patience is None:
            self._patience = self._clock.call_later(CREDIT_S, self._lose_patience)
        if not self._paused:
            self._paused = True
            if self._hold is not None:
                self._hold.pause()

    def _lose_patience(self) -> None:
        self._patience = None
        self.cut(StreamInterrupted(f"The client gave no credit for {CREDIT_S:.0f} s; go on from the cursor."))

    def _finish(self, outcome: Outcome) -> None:
        if self._failure is not None or outcome.status != "ok":
            self.fail(self._failure or outcome.error or StreamCancelled(CANCELLED))
            return
        self._wire.write(done(self._name, self._stream, self.head, outcome))
        self._close()


def _nothing() -> None:
    pass
