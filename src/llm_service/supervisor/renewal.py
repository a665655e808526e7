"""A rolling restart: every worker is replaced by a new one, one after the other, and no client notices."""

from collections import deque
from collections.abc import Iterable
from typing import Literal

Step = Literal["start", "wait", "done"]


class Renewal:
    """Says what is to be done next. Feed it with what the workers do.

    A new worker is started beside the old one, which leaves when the new one serves; the next is not begun before the
    old one has ended. So there is one process more than configured at most, and never one less.
    """

    def __init__(self, workers: Iterable[int]) -> None:
        self._todo = deque(workers)
        self._busy_with: int | None = None

    @property
    def step(self) -> Step:
        """``start``: the next successor is to be started, and ``started`` says whose."""
        if self._busy_with is not None:
            return "wait"
        return "start" if self._todo else "done"

    def started(self) -> int:
        """The number of the worker whose successor is started now."""
        self._busy_with = self._todo.popleft()
        return self._busy_with

    def replaced(self, worker: int) -> None:
        """The old worker of this number has ended, or was no more when its successor was there."""
        if worker == self._busy_with:
            self._busy_with = None
