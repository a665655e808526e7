"""One reload over all workers: prepared by every one and then in force on every one, or on none."""

from collections.abc import Iterable
from typing import Literal

Phase = Literal["preparing", "committing", "done", "failed"]


class Rollout:
    """Counts what the workers say. Feed it, and act when ``phase`` changes.

    ``preparing`` becomes ``committing`` once all have prepared (tell all to commit), and ``done`` once all have
    committed; it becomes ``failed`` with the first that cannot, that ends, or with time (tell all to give it up).
    """

    def __init__(self, workers: Iterable[int]) -> None:
        self.workers = frozenset(workers)
        self.phase: Phase = "preparing"
        self.reasons: tuple[str, ...] = ()
        self._owing = set(self.workers)
        self._left: set[int] = set()
        self._advance()

    def prepared(self, worker: int) -> None:
        """The worker has built the new graph."""
        if self.phase == "preparing":
            self._owing.discard(worker)
            self._advance()

    def cannot(self, worker: int, *reasons: str) -> None:
        """The worker cannot build it."""
        if self.phase == "preparing" and worker in self.workers:
            self.phase = "failed"
            self.reasons = reasons

    def committed(self, worker: int) -> None:
        """The worker answers by the new settings."""
        if self.phase == "committing":
            self._owing.discard(worker)
            self._advance()

    def left(self, worker: int) -> None:
        """The worker ends of its own accord: it keeps what it has, and does not stand in the way."""
        self._left.add(worker)
        self._owing.discard(worker)
        self._advance()

    def ended(self, worker: int) -> None:
        """The worker is no more; whoever takes its place starts with the settings in force."""
        if self.phase == "committing":
            self.committed(worker)
        else:
            self.cannot(worker, "a worker ended while it prepared the change")

    def expired(self) -> None:
        """Time is up. Who was told to commit will, as soon as it can."""
        if self.phase == "preparing":
            self.phase = "failed"
            self.reasons = ("not every worker prepared the change in time",)
        elif self.phase == "committing":
            self.phase = "done"

    def _advance(self) -> None:
        if not self._owing and self.phase == "preparing":
            self.phase = "committing"
            self._owing = set(self.workers - self._left)
        if not self._owing and self.phase == "committing":
            self.phase = "done"
