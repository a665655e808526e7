"""Which share of the requests was answered in the last hour and day, on all processes of this machine together."""

from collections.abc import Sequence
from typing import Final

from llm_service.observability.metrics.arena import Arena
from llm_service.observability.metrics.catalog import AVAILABILITY, REQUEST_ERRORS, REQUESTS
from llm_service.observability.metrics.meters import Reading
from llm_service.observability.metrics.snapshot import Snapshot
from llm_service.runtime import Clock

WINDOWS_S: Final = (("1h", 3600.0), ("24h", 86400.0))
NOTE_S: Final = 60.0
OURS: Final = ("gateway", "upstream")
"""Whose faults count: neither the caller's own, nor that it left."""

_COUNT_AT: Final = 1
_BEGINS: Final = 16
_PLACES: Final = 1500
"""Notes that are kept: a little more than a day's."""
_NOTE_WORDS: Final = 3


class Availability:
    """Notes once a minute, on the board that all processes see, how many requests were answered and how many were not.

    So the windows outlive workers that are replaced, and each process knows them. With less than a window behind it,
    the service tells of the time since its start.
    """

    def __init__(self, arena: Arena, *, clock: Clock) -> None:
        self._arena = arena
        self._board = arena.board
        self._now = clock.monotonic  # one clock for all processes of a machine
        if not self._board[_COUNT_AT]:
            self._note(0.0, 0.0)

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next note."""
        return self._now() - self._at(self._count - 1)[0] >= NOTE_S

    def note(self, snapshot: Snapshot) -> None:
        """Note how it stands, unless another process just did."""
        if self._arena.turn():
            try:
                if self.is_due:
                    self._note(*_answered(snapshot))
            finally:
                self._arena.done()

    def readings(self, snapshot: Snapshot) -> Sequence[Reading]:
        """The share in each window; none for a window without requests."""
        good, bad = _answered(snapshot)
        found: list[Reading] = []
        for name, window_s in WINDOWS_S:
            _, good_then, bad_then = self._before(self._now() - window_s)
            answered, failed = good - good_then, bad - bad_then
            if answered + failed > 0:
                found.append((AVAILABILITY, (name,), answered / (answered + failed)))
        return found

    @property
    def _count(self) -> int:
        return int(self._board[_COUNT_AT])

    def _before(self, moment: float) -> tuple[float, float, float]:
        """The last note before a moment, or the first of all."""
        last = self._count - 1
        oldest = max(0, last - _PLACES + 2)  # the one behind the last may be written now
        for number in range(last, oldest, -1):
            if (note := self._at(number))[0] <= moment:
                return note
        return self._at(oldest)

    def _at(self, number: int) -> tuple[float, float, float]:
        place = _BEGINS + number % _PLACES * _NOTE_WORDS
        board = self._board
        return board[place], board[place + 1], board[place + 2]

    def _note(self, good: float, bad: float) -> None:
        place, board = _BEGINS + self._count % _PLACES * _NOTE_WORDS, self._board
        board[place], board[place + 1], board[place + 2] = self._now(), good, bad
        board[_COUNT_AT] += 1.0


def _answered(snapshot: Snapshot) -> tuple[float, float]:
    """Requests that were answered, and those that were not by a fault that is not their caller's."""
    return snapshot.total(REQUESTS.name, status="ok"), snapshot.total(REQUEST_ERRORS.name, fault=OURS)
