"""The streams that one process knows by their ids: those that run, and ended ones for a while, to be resumed."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from llm_service.domain import LLMServiceError, StreamCancelled
from llm_service.runtime import Clock, TimerHandle
from llm_service.streams.generation import Generation
from llm_service.streams.shared import SharedStreams
from llm_service.streams.stream import Stream

CANCELLED: Final = "The stream was cancelled by its owner."


class Keyed(Protocol):
    """A request that holds an ``Idempotency-Key``, or is about to ask for one, and the generation that answers it."""

    generation: Generation | None
    followed: Generation | None


class Streams:
    """Finds streams by their ids, and generations in flight by what makes two requests the same (``flights``).

    ``keyed``: by their ids, the requests of this process that an ``Idempotency-Key`` may be waiting for.
    An ended stream is kept for ``retention_s``, as long as all of them have no more than ``total_bytes``.
    """

    def __init__(
        self, clock: Clock, *, retention_s: float, total_bytes: int, shared: SharedStreams | None = None
    ) -> None:
        """``shared``: the way to other processes, where there are some."""
        self.shared = shared
        self.retention_s = retention_s
        self.total_bytes = total_bytes
        self.flights: dict[bytes, Generation] = {}
        self.keyed: dict[str, Keyed] = {}
        self._clock = clock
        self._running: dict[str, Stream] = {}
        self._ended: dict[str, Stream] = {}
        self._expiries = deque[tuple[float, str, int]]()
        self._ended_bytes = 0
        self._sweep: TimerHandle | None = None
        self._all_ended: asyncio.Future[None] | None = None
        if shared is not None:
            shared.on_cancelled(self.cancel_here)

    @property
    def running(self) -> Sequence[Stream]:
        """Those that have not ended."""
        return tuple(self._running.values())

    @property
    def kept(self) -> int:
        """How many there are, ended ones included."""
        return len(self._running) + len(self._ended)

    def find(self, stream_id: str) -> Stream | None:
        """A stream that runs, or that is still kept."""
        return self._running.get(stream_id) or self._ended.get(stream_id)

    async def joined(self, stream_id: str, *, owner: str) -> Stream | None:
        """An owner's stream, here or in another process, whose generation the caller has joined."""
        stream = self.find(stream_id)
        if stream is None:
            return None if self.shared is None else await self.shared.find(stream_id, owner=owner)
        if stream.owner != owner or stream.generation is None:
            return None
        stream.generation.join()
        return stream

    async def runs(self, stream: Stream) -> bool:
        """Whether a stream has not ended, here or in another process."""
        generation, shared = stream.generation, self.shared
        if generation is None or generation.outcome is not None:
            return False
        if shared is None or generation.log is None or self.find(stream.id) is not None:
            return True
        return await shared.runs(generation.log[0])

    async def cancel(self, stream: Stream) -> None:
        """End a stream, wherever it runs and is read."""
        self.cancel_here(stream.id)
        if self.shared is not None:
            await self.shared.announce_cancelled(stream)

    def cancel_here(self, stream_id: str) -> None:
        """End a stream if it runs in this process, and for those who read it here if it runs elsewhere."""
        error = StreamCancelled(CANCELLED)
        stream = self.find(stream_id)  # its own client may have left, and others read on
        if stream is not None:
            stream.cancel(error)
        if self.shared is not None:
            self.shared.cut_found(stream_id, error)

    def hear_cancelled(self, stream_id: str) -> None:
        """Another process says that it has cancelled a stream: one that is read here, or runs here, or neither."""
        if self.shared is not None:
            self.shared.hear_cancelled(stream_id, StreamCancelled(CANCELLED))

    def open(self, stream: Stream) -> None:
        """A stream has its generation now."""
        self._running[stream.id] = stream

    def close(self, stream: Stream) -> None:
        """A stream's account is closed: keep it for a while."""
        if self._running.pop(stream.id, None) is None:
            return
        if self.shared is not None:
            self.shared.publish(stream, ended=True)
        size = stream.bytes
        self._ended[stream.id] = stream
        self._ended_bytes += size
        self._expiries.append((self._clock.monotonic() + self.retention_s, stream.id, size))
        while self._ended_bytes > self.total_bytes and self._expiries:
            self._forget_oldest()
        if self._sweep is None:
            self._sweep = self._clock.call_later(self.retention_s, self._forget_expired)
        if not self._running and self._all_ended is not None:
            self._all_ended.set_result(None)
            self._all_ended = None

    async def all_ended(self) -> None:
        """Until none runs."""
        while self._running:
            self._all_ended = self._all_ended or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._all_ended)

    def cancel_running(self, error: LLMServiceError) -> None:
        """End all that run, with this error."""
        for stream in self.running:
            if stream.generation is not None:
                stream.generation.cancel(error)
        if self.shared is not None:
            self.shared.cut_copies(error)

    def aclose(self) -> None:
        """Forget everything."""
        if self.shared is not None:
            self.shared.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self.flights.clear()
        self._running.clear()
        self._ended.clear()
        self._expiries.clear()
        self._ended_bytes = 0

    def _forget_oldest(self) -> None:
        _, stream_id, size = self._expiries.popleft()
        del self._ended[stream_id]
        self._ended_bytes -= size

    def _forget_expired(self) -> None:
        now = self._clock.monotonic()
        while self._expiries and self._expiries[0][0] <= now:
            self._forget_oldest()
        self._sweep = None
        if self._expiries:
            self._sweep = self._clock.call_later(self._expiries[0][0] - now, self._forget_expired)
