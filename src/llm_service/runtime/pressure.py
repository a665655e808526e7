"""How hard the process is pressed: its event loop, memory, descriptors, disk, and the requests in flight."""

import os
import resource
from pathlib import Path
from typing import Final

from llm_service.domain import fact
from llm_service.runtime.clock import Clock, TimerHandle
from llm_service.runtime.control_group import memory_limit
from llm_service.runtime.loop_lag import LoopLag

TICK_S: Final = 0.1
MEASURE_S: Final = 1.0
LIMIT_S: Final = 60.0
"""How often one looks whether the control group has another limit."""
STATM: Final = Path("/proc/self/statm")
DESCRIPTORS: Final = Path("/proc/self/fd")


@fact
class Figures:
    """What is asked for rarely. ``None``: this system does not tell, or there is no limit."""

    descriptors: int | None
    descriptors_limit: int | None
    disk_free_bytes: int | None


class Pressure:
    """Measures from ``start`` to ``close``, once for each process, whatever its settings become.

    ``in_flight`` is counted by whoever begins and ends requests. ``measured`` grows with each measurement, ten a
    second, so that nobody need judge by them more often. ``memory_bytes`` is the resident memory, and
    ``memory_limit_bytes`` the control group's limit; ``None`` where the system does not tell, or there is no limit.
    """

    __slots__ = (
        "_clock", "_data_dir", "_due", "_figures", "_figures_at", "_limit_at", "_measure_at", "_statm", "_timer",
        "in_flight", "lag", "measured", "memory_at_start_bytes", "memory_bytes", "memory_limit_bytes",
    )  # fmt: skip

    def __init__(self, data_dir: Path, *, clock: Clock) -> None:
        self._clock = clock
        self._data_dir = data_dir
        self._statm: int | None = None
        self._timer: TimerHandle | None = None
        self._figures: Figures | None = None
        self._figures_at = self._due = self._measure_at = self._limit_at = 0.0
        self.in_flight = 0
        self.measured = 0
        self.lag = LoopLag()
        self.memory_bytes: int | None = None
        self.memory_at_start_bytes = 0
        self.memory_limit_bytes: int | None = None

    def start(self) -> None:
        """Measure from now on. Call it on the running event loop, in the process that is to be measured."""
        try:
            self._statm = os.open(STATM, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not Linux: there is no bound by memory
            self._statm = None
        now = self._clock.monotonic()
        self._measure(now)
        self.memory_at_start_bytes = self.memory_bytes or 0
        self._wait(now)

    def close(self) -> None:
        """Measure no more; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._statm is not None:
            statm, self._statm = self._statm, None
            os.close(statm)

    def figures(self) -> Figures:
        """Descriptors and disk, of the last second at the oldest."""
        now = self._clock.monotonic()
        if self._figures is None or now - self._figures_at >= MEASURE_S:
            self._figures = Figures(
                descriptors=_descriptors(),
                descriptors_limit=_descriptors_limit(),
                disk_free_bytes=_free_bytes(self._data_dir),
            )
            self._figures_at = now
        return self._figures

    def _tick(self) -> None:
        now = self._clock.monotonic()
        self.lag.note(max(0.0, now - self._due), now=now)
        try:
            if now >= self._measure_at:
                self._measure(now)
            self.measured += 1
        finally:
            self._wait(now)  # the loop reports what failed

    def _wait(self, now: float) -> None:
        self._due = now + TICK_S
        self._timer = self._clock.call_later(TICK_S, self._tick)

    def _measure(self, now: float) -> None:
        self._measure_at = now + MEASURE_S
        if self._statm is not None:
            resident_pages = int(os.pread(self._statm, 128, 0).split()[1])  # proc_pid_statm(5)
            self.memory_bytes = resident_pages * resource.getpagesize()
        if now >= self._limit_at:
            self._limit_at = now + LIMIT_S
            self.memory_limit_bytes = memory_limit()


def _descriptors() -> int | None:
    """How many are open. Linux 6.2 and later tell it as the size of the folder; before, one has to count."""
    try:
        return DESCRIPTORS.stat().st_size or sum(1 for _ in DESCRIPTORS.iterdir()) - 1  # less the one that counts
    except OSError:
        return None


def _descriptors_limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _free_bytes(folder: Path) -> int | None:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
