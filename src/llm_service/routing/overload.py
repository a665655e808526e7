"""Whether the process is pressed so hard that new requests are refused, for the sake of those that run."""

from collections.abc import Callable
from typing import Final, Literal

from llm_service.observability import Log
from llm_service.routing.options import OverloadOptions
from llm_service.runtime import Clock, Pressure, give_back

Why = Literal["requests_in_flight", "event_loop_lag", "memory"]

NO_BOUND: Final = 1_000_000_000
ONE: Final = 1
"""While requests are refused for lag or memory one at a time goes on, or nothing might ever become better."""
LAG_ENDS_AT: Final = 0.5
MEMORY_ENDS_AT: Final = 0.95
"""In parts of their bounds: what has begun ends well below, and does not flap."""
SHARE: Final = 0.9
LEAST_HEADROOM_BYTES: Final = 64 * 1024 * 1024
"""A bound that nobody set leaves as much for requests at least, however small the control group is."""
GIVE_BACK_S: Final = 10.0


class Overload:
    """Judges the pressure of the process by the settings of one generation, ten times a second at most.

    ``room``: how many requests may be in flight. It is right whenever ``judged`` equals ``pressure.measured``; else ask
    for ``judge`` first. ``workers``: processes that share the control group. ``refused`` is for the stage to count.
    """

    __slots__ = (
        "_clock",
        "_give_back",
        "_given_back_at",
        "_log",
        "_most",
        "_options",
        "_pressed",
        "_pressure",
        "_workers",
        "judged",
        "refused",
        "room",
    )  # fmt: skip

    def __init__(
        self,
        pressure: Pressure,
        options: OverloadOptions,
        *,
        workers: int,
        clock: Clock,
        log: Log,
        give_back: Callable[[], None] = give_back,
    ) -> None:
        self._pressure = pressure
        self._options = options
        self._workers = workers
        self._clock = clock
        self._log = log
        self._give_back = give_back
        self._given_back_at: float | None = None
        self._most = options.max_in_flight or NO_BOUND
        self._pressed: Why | None = None
        self.refused = 0
        self.room = self._most
        self.judged = -1

    @property
    def why(self) -> Why | None:
        """Why the next request would be refused; ``None``: it would not be."""
        self.judge()
        if self._pressure.in_flight < self.room:
            return None
        return self._pressed or "requests_in_flight"

    def judge(self) -> None:
        """Bring ``room`` up to date with what was measured."""
        if self.judged == self._pressure.measured:
            return
        self.judged = self._pressure.measured
        before, self._pressed = self._pressed, self._found()
        self.room = self._most if self._pressed is None else ONE
        if self._pressed != before:
            self._tell(before)
        if self._pressed == "memory":
            self._relieve()

    def _found(self) -> Why | None:
        pressure, was = self._pressure, self._pressed
        most_lag_s = self._options.max_lag_s
        if most_lag_s is not None and pressure.lag.steady_s > most_lag_s * (
            LAG_ENDS_AT if was == "event_loop_lag" else 1
        ):
            return "event_loop_lag"
        most_bytes = self.max_memory_bytes
        if most_bytes is not None and (pressure.memory_bytes or 0) > most_bytes * (
            MEMORY_ENDS_AT if was == "memory" else 1
        ):
            return "memory"
        return None

    @property
    def max_memory_bytes(self) -> int | None:
        """Resident memory from which on requests are refused: the setting, else this process's share of the limit."""
        if self._options.max_memory_bytes is not None:
            return self._options.max_memory_bytes
        limit, begun = self._pressure.memory_limit_bytes, self._pressure.memory_at_start_bytes
        if limit is None:
            return None
        return max(int(limit * SHARE / self._workers), begun + LEAST_HEADROOM_BYTES)

    def _tell(self, before: Why | None) -> None:
        pressure = self._pressure
        if self._pressed is None:
            self._log.info("requests are taken again", why=before, refused=self.refused)
            self.refused = 0
            return
        self._log.warning(
            "requests are refused",
            why=self._pressed,
            in_flight=pressure.in_flight,
            lag_ms=round(pressure.lag.mean_s * 1000),
            memory_bytes=pressure.memory_bytes,
        )

    def _relieve(self) -> None:
        """Memory that is free belongs to the process all the same, until it is given back."""
        now = self._clock.monotonic()
        if self._given_back_at is None or now - self._given_back_at >= GIVE_BACK_S:
            self._given_back_at = now
            self._give_back()
