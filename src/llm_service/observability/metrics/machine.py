"""Totals that somebody outside of this machine's processes counts: added once, whichever process asks."""

from typing import Final

from llm_service.observability.metrics.arena import Arena
from llm_service.observability.metrics.meters import Counter

EVICTIONS_AT: Final = 0
"""Where the board has what was added of it."""
EVICTIONS_TOLD_AT: Final = 2
"""Where it has when that was."""


class SharedTotal:
    """A counter that follows a total which all processes see, such as what a shared store has counted.

    Counted is what comes after the first answer: a store may have counted for months before this service began.
    """

    def __init__(self, arena: Arena, counter: Counter, *, place: int, told_place: int) -> None:
        """``place`` and ``told_place``: on the board, for the total and for the moment at which it was told."""
        self._arena = arena
        self._counter = counter
        self._place = place
        self._told_place = told_place

    def at(self, total: float, *, asked_at: float, now: float) -> None:
        """It has counted so much; less than before: it began anew. One that others add right now waits.

        ``asked_at``, ``now``: monotonic seconds. An answer to a question that was asked before another process told
        its own may be older than that one, and would look like a new beginning: it is left out.
        """
        if not self._arena.turn():
            return
        try:
            board = self._arena.board
            seen, told_at = board[self._place], board[self._told_place]
            if asked_at < told_at:
                return
            if told_at:
                self._counter.add(total - seen if total >= seen else total)
            board[self._place], board[self._told_place] = total, now
        finally:
            self._arena.done()
