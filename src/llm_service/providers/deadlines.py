"""The time-outs of one upstream call: first chunk, silence, slowness, total. That of connecting is the transport's."""

from collections.abc import Callable

from llm_service.domain import DeadlineExceeded, LLMServiceError, UpstreamTimeout
from llm_service.providers.options import TimeoutOptions
from llm_service.providers.pace import Pace
from llm_service.runtime import Clock, TimerHandle

OnExpired = Callable[[LLMServiceError], None]


class Deadlines:
    """Calls back once with the error when a time-out passes; seconds all.

    ``total_s`` and the caller's own ``deadline_s`` are absolute. ``first_chunk_s`` holds for streams, up to the first
    content. ``idle_s`` is silence after that; any byte counts as life. ``min_bytes_per_s`` is how much has to come of
    the stream after its first content. A reader that makes us pause is neither silence nor slowness of the upstream.
    """

    __slots__ = ("_clock", "_heard_at", "_idle", "_on_expired", "_options", "_pace", "_timers", "bytes", "paused")

    def __init__(self, clock: Clock, options: TimeoutOptions, on_expired: OnExpired) -> None:
        self._clock = clock
        self._options = options
        self._on_expired: OnExpired | None = on_expired
        self._timers: list[TimerHandle] = []
        self._idle: TimerHandle | None = None
        self._pace: Pace | None = None
        self._heard_at = 0.0
        self.bytes = 0
        self.paused = False

    def start(self, *, deadline_s: float | None, stream: bool, spent_s: float = 0.0) -> None:
        """The request is on its way; earlier attempts took ``spent_s`` of its time."""
        options = self._options
        left_s = max(options.total_s - spent_s, 0.0)
        if deadline_s is not None and deadline_s < left_s:
            self._timers.append(self._clock.call_later(max(deadline_s, 0.0), self._deadline_passed))
        else:
            self._timers.append(self._clock.call_later(left_s, self._total_passed))
        if stream:
            self._timers.append(self._clock.call_later(options.first_chunk_s, self._first_chunk_passed))

    def _deadline_passed(self) -> None:
        self._expire(DeadlineExceeded("The request's own deadline passed before its answer was complete."))

    def _total_passed(self) -> None:
        self._expire(_late("total_s", self._options.total_s))

    def _first_chunk_passed(self) -> None:
        self._expire(_late("first_chunk_s", self._options.first_chunk_s))

    def content_began(self) -> None:
        """The first content is there: from now on silence counts, and pace."""
        if len(self._timers) > 1:
            self._timers.pop().cancel()
        self._heard_at = self._clock.monotonic()
        self._idle = self._clock.call_later(self._options.idle_s, self._mind_silence)
        least = self._options.min_bytes_per_s
        if least is not None:
            self._pace = Pace(self._clock, least, self._options.slow_after_s, lambda: self.bytes, self._too_slow)
            if self.paused:
                self._pace.pause()

    def heard(self, count: int) -> None:
        """So many bytes have come."""
        self._heard_at = self._clock.monotonic()
        self.bytes += count

    def pause(self) -> None:
        """Nothing is read for now."""
        self.paused = True
        if self._pace is not None:
            self._pace.pause()

    def resume(self) -> None:
        """Reading goes on."""
        self.paused = False
        self._heard_at = self._clock.monotonic()
        if self._pace is not None:
            self._pace.resume()

    def _mind_silence(self) -> None:
        idle_s = self._options.idle_s
        silent_s = 0.0 if self.paused else self._clock.monotonic() - self._heard_at
        if silent_s >= idle_s:
            self._expire(UpstreamTimeout(f"The provider fell silent in mid-answer (idle_s: {idle_s:g} s)."))
        else:
            self._idle = self._clock.call_later(idle_s - silent_s, self._mind_silence)

    def _too_slow(self, bytes_per_s: float) -> None:
        least, over_s = self._options.min_bytes_per_s, self._options.slow_after_s
        self._expire(
            UpstreamTimeout(
                f"The provider's stream was too slow: {bytes_per_s:.1f} bytes/s"
                f" (min_bytes_per_s: {least:g}, slow_after_s: {over_s:g} s)."
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
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._pace is not None:
            self._pace.stop()
            self._pace = None


def _late(name: str, seconds: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"The provider did not answer in time ({name}: {seconds:g} s).")
