"""The memory in which all processes of this machine keep their figures, and which process is at which part of it."""

import fcntl
import mmap
from collections.abc import Sequence
from typing import IO, Final, Protocol

from llm_service.observability.metrics.cells import WORD, Cells

SLOT_BYTES: Final = 4 * 1024 * 1024
"""Of address space: memory is taken by the page, when something is written there."""
BOARD_WORDS: Final = 8 * 1024
"""In front of the slots: what is kept once for all processes."""


class Locks(Protocol):
    """Places that one process holds at a time, until it lets go or ends, in whatever way."""

    def take(self, place: int) -> bool:
        """Hold a place, unless another process does."""

    def let_go(self, place: int) -> None:
        """Hold it no more."""

    def held(self, place: int) -> bool:
        """Whether another process holds it."""


class FileLocks:
    """Locks on the bytes of an empty file that all processes have open.

    Of the kind that belongs to the process and not to the open file, which forks share (fcntl(2)).
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def take(self, place: int) -> bool:
        return self._lock(fcntl.LOCK_EX, place)

    def let_go(self, place: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def held(self, place: int) -> bool:
        if not self._lock(fcntl.LOCK_SH, place):  # several may look at once
            return True
        self.let_go(place)
        return False

    def _lock(self, kind: int, place: int) -> bool:
        try:
            fcntl.lockf(self._file, kind | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True


class OneProcess:
    """Nobody else is there."""

    def take(self, place: int) -> bool:
        return True

    def let_go(self, place: int) -> None:
        """Nothing is held."""

    def held(self, place: int) -> bool:
        return False


class Arena:
    """Shared memory without a name, made before the workers are forked: it ends with the last of its processes.

    Each process holds one slot. A new process takes over a slot whose holder has ended and counts on from what stands
    there, so that counters never go back, and nothing has to be folded together.
    """

    def __init__(self, slots: int, locks: Locks) -> None:
        self._locks = locks
        self._memory = memoryview(mmap.mmap(-1, BOARD_WORDS * WORD + slots * SLOT_BYTES))
        self._slots = slots
        self.own: int | None = None
        """The slot of this process."""
        self.board = self._memory[: BOARD_WORDS * WORD].cast("d")

    @classmethod
    def alone(cls) -> "Arena":
        """For a service of one process."""
        return cls(1, OneProcess())

    @classmethod
    def for_workers(cls, workers: int, locks: Locks) -> "Arena":
        """Room for so many workers, as many that are leaving while others take their places, and some more."""
        return cls(2 * workers + 4, locks)

    @property
    def slots(self) -> Sequence[int]:
        """The numbers of all slots."""
        return range(self._slots)

    def enter(self) -> Cells | None:
        """Take a slot for this process; ``None`` where all are held. Call it once, in the process itself."""
        for slot in (*self.slots, *self.slots):  # somebody who looks at one stands in the way for a moment
            if self._locks.take(slot):
                self.own = slot
                return Cells(self._part(slot))
        return None

    def look(self, slot: int) -> Cells:
        """A slot to be read."""
        return Cells(self._part(slot).toreadonly())

    def lives(self, slot: int) -> bool:
        """Whether a process holds the slot."""
        return slot == self.own or self._locks.held(slot)

    def turn(self) -> bool:
        """Whether this process alone may write to the board now; ``done`` follows."""
        return self._locks.take(self._slots)

    def done(self) -> None:
        """Let others write to the board."""
        self._locks.let_go(self._slots)

    def _part(self, slot: int) -> memoryview:
        begins = BOARD_WORDS * WORD + slot * SLOT_BYTES
        return self._memory[begins : begins + SLOT_BYTES]
