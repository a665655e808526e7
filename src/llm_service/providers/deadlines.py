"""The time-outs of one upstream call: first chunk, silence, slowness, total. That of connecting is the transport's."""

from collections.abc import Callable
from typing import Final

from llm_service.domain import DeadlineExceeded, LLMServiceError, UpstreamTimeout
from llm_service.providers.options import TimeoutOptions
from llm_service.providers.pace import Pace
from llm_service.runtime import Clock, TimerHandle, Waits

CLOSING_S: Final = 1.0
OnExpired = Callable[[LLMServiceError], None]


class TimeOuts:
    """The time-outs of one provider, and whom of its answers they are running for.

    ``closing``: how to end a body that has said ``[DONE]`` and does not end; it keeps its connection from others.
    """

    __slots__ = ("clock", "closing", "first_chunk", "idle", "options", "total")

    def __init__(self, clock: Clock, options: TimeoutOptions) -> None:
        self.clock = clock
        self.options = options
        self.total = Waits[Deadlines](clock, options.total_s, Deadlines.total_passed)
        self.first_chunk = Waits[Deadlines](clock, options.first_chunk_s, Deadlines.first_chunk_passed)
        self.idle = Waits[Deadlines](clock, options.idle_s, Deadlines.mind_silence)
        self.closing = Waits[Callable[[], None]](clock, CLOSING_S, _do)

    def close(self) -> None:
        """Keep no timer but for those who still wait."""
        for waits in (self.total, self.first_chunk, self.idle, self.closing):
            waits.close()


class Deadlines:
    """Calls back once with the error when a time-out passes; seconds all.

    ``total_s`` and the caller's own ``deadline_s`` are absolute. ``first_chunk_s`` holds for streams, up to the first
    content. ``idle_s`` is silence after that; any byte counts as life. ``min_bytes_per_s`` is how much has to come of
    the stream after its first content. A reader that makes us pause is neither silence nor slowness of the upstream.
    """

    __slots__ = ("_end", "_idle", "_on_expired", "_pace", "_stream", "_time_outs", "bytes", "heard_at", "paused")

    def __init__(self, time_outs: TimeOuts, on_expired: OnExpired) -> None:
        self._time_outs = time_outs
        self._on_expired: OnExpired | None = on_expired
        self._end: TimerHandle | None = None  # of a request whose time is its own
        self._idle: TimerHandle | None = None
        self._pace: Pace | None = None
        self._stream = False
        self.heard_at = 0.0
        self.bytes = 0
        self.paused = False
        """``heard_at``, ``bytes``: when something of a stream came last, and how much; whoever reads it says so."""

    def start(self, *, deadline_s: float | None, stream: bool, spent_s: float = 0.0) -> None:
        """The request is on its way; earlier attempts took ``spent_s`` of its time."""
        time_outs = self._time_outs
        self._stream = stream
        if deadline_s is None and spent_s <= 0:
            time_outs.total.begin(self)
        else:
            self._start_own(max(time_outs.options.total_s - spent_s, 0.0), deadline_s)
        if stream:
            time_outs.first_chunk.begin(self)

    def _start_own(self, left_s: float, deadline_s: float | None) -> None:
        clock = self._time_outs.clock
        if deadline_s is not None and deadline_s < left_s:
            self._end = clock.call_later(max(deadline_s, 0.0), self._deadline_passed)
        else:
            self._end = clock.call_later(left_s, self.total_passed)

    def _deadline_passed(self) -> None:
        self._expire(DeadlineExceeded("The request's own deadline passed before its answer was complete."))

    def total_passed(self) -> None:
        """The whole answer is late."""
        self._expire(_late("total_s", self._time_outs.options.total_s))

    def first_chunk_passed(self) -> None:
        """The first content is late."""
        self._expire(_late("first_chunk_s", self._time_outs.options.first_chunk_s))

    def content_began(self) -> None:
        """The first content is there: from now on silence counts, and pace."""
        time_outs = self._time_outs
        clock, options = time_outs.clock, time_outs.options
        time_outs.first_chunk.end(self)
        self.heard_at = clock.monotonic()
        time_outs.idle.begin(self)
        if options.min_bytes_per_s is not None:
            self._pace = Pace(clock, options.min_bytes_per_s, options.slow_after_s, lambda: self.bytes, self._too_slow)
            if self.paused:
                self._pace.pause()

    def pause(self) -> None:
        """Nothing is read for now."""
        self.paused = True
        if self._pace is not None:
            self._pace.pause()

    def resume(self) -> None:
        """Reading goes on."""
        self.paused = False
        self.heard_at = self._time_outs.clock.monotonic()
        if self._pace is not None:
            self._pace.resume()

    def mind_silence(self) -> None:
        """Look whether anything came in the last ``idle_s``."""
        clock, idle_s = self._time_outs.clock, self._time_outs.options.idle_s
        silent_s = 0.0 if self.paused else clock.monotonic() - self.heard_at
        if silent_s >= idle_s:
            self._expire(UpstreamTimeout(f"The provider fell silent in mid-answer (idle_s: {idle_s:g} s)."))
        else:
            self._idle = clock.call_later(idle_s - silent_s, self.mind_silence)

    def _too_slow(self, bytes_per_s: float) -> None:
        options = self._time_outs.options
        self._expire(
            UpstreamTimeout(
                f"The provider's stream was too slow: {bytes_per_s:.1f} bytes/s"
                f" (min_bytes_per_s: {options.min_bytes_per_s:g}, slow_after_s: {options.slow_after_s:g} s)."
            )
        )

    def _expire(self, error: LLMServiceError) -> None:
        tell = self._on_expired
        self.stop()
        if tell is not None:
            tell(error)

    def stop(self) -> None:
        """Mind nothing any more, and let go of who would be told."""
        self._on_expired = None
        time_outs = self._time_outs
        time_outs.total.end(self)
        if self._end is not None:
            self._end.cancel()
            self._end = None
        if self._stream:
            time_outs.first_chunk.end(self)
            time_outs.idle.end(self)
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            if self._pace is not None:
                self._pace.stop()
                self._pace = None


def _do(work: Callable[[], None]) -> None:
    work()


def _late(name: str, seconds: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"The provider did not answer in time ({name}: {seconds:g} s).")
