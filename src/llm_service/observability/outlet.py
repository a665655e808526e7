"""Where log lines go: a stream that may be full, or whose reader may be gone."""

import threading
from typing import TextIO


class Outlet:
    """A stream whose failure costs log lines, and never the request that they tell of.

    A pipe that nobody reads leaves no place where the failure could be told; a file of ours does (`LogFile`).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream  # whoever drops it closes what it stands for
        self._raw = stream.buffer
        self._one_at_a_time = threading.Lock()

    def say(self, lines: bytes) -> None:
        """Write whole lines, and hand them on, if that is possible."""
        with self._one_at_a_time:
            try:
                self._raw.write(lines)
                self._raw.flush()
            except (OSError, ValueError):  # ValueError: closed
                return
