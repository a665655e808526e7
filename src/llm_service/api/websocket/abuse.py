"""How much nonsense, and how many frames that ask for nothing, a client may send."""

from collections import deque
from typing import Final

WINDOW_S: Final = 10.0
MISTAKES: Final = 20
IDLE_FRAMES: Final = 2000


class Patience:
    """Of one socket: at most ``MISTAKES`` refused frames, and ``IDLE_FRAMES`` of others, in any ``WINDOW_S``."""

    __slots__ = ("_idle", "_idle_since", "_mistakes")

    def __init__(self) -> None:
        self._mistakes = deque[float]()
        self._idle = 0
        self._idle_since = 0.0

    def ends_with_mistake(self, now: float) -> bool:
        """Count a frame that was refused for what it is. Whether it was one too many; ``now``: monotonic seconds."""
        mistakes = self._mistakes
        mistakes.append(now)
        while mistakes[0] <= now - WINDOW_S:
            mistakes.popleft()
        return len(mistakes) > MISTAKES

    def ends_with_frame(self, now: float) -> bool:
        """Count a frame that did nothing for a generation. Whether it was one too many."""
        if now - self._idle_since >= WINDOW_S:
            self._idle_since = now
            self._idle = 0
        self._idle += 1
        return self._idle > IDLE_FRAMES
