"""Signals for a loop that waits on file descriptors."""

import signal
import socket
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Any, Self


class Alarm:
    """Within its block, the given signals make it readable, and do nothing else. For the main thread."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._signals = tuple(signals)
        self._hears, self._rings = socket.socketpair()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for end in (self._hears, self._rings):
            end.settimeout(0)
        signal.set_wakeup_fd(self._rings.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in self._signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        self._hears.close()
        self._rings.close()

    def fileno(self) -> int:
        return self._hears.fileno()

    def rung(self) -> list[signal.Signals]:
        """The signals that have come, in their order."""
        try:
            return [signal.Signals(number) for number in self._hears.recv(4096)]
        except BlockingIOError:
            return []


def _nothing(_: int, __: FrameType | None) -> None:
    """The number is in the socket by now."""
