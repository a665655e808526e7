"""When a worker that has ended is started again."""

from typing import Final

STEADY_S: Final = 10.0
"""Who has lived so long was no failed start."""
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 30.0


class Restarts:
    """The pauses of one worker's place: none at first, then ever longer ones while it does not stay alive."""

    def __init__(self) -> None:
        self._failures = 0

    def pause_s(self, lived_s: float) -> float:
        """Seconds to wait before the next start, after a worker that has lived so long."""
        if lived_s >= STEADY_S:
            self._failures = 0
        pause_s = 0.0 if self._failures == 0 else FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16)
        self._failures += 1
        return min(pause_s, LONGEST_PAUSE_S)
