"""Totals that somebody outside of this machine's processes counts: added once, whichever process asks."""

from typing import Final

from llm_service.observability.metrics.arena import Arena
from llm_service.observability.metrics.meters import Counter

EVICTIONS_AT: Final = 0
"""Where the board has what was added of it."""


class SharedTotal:
    """A counter that follows a total which all processes see, such as what a shared store has counted."""

    def __init__(self, arena: Arena, place: int, counter: Counter) -> None:
        self._arena = arena
        self._place = place
        self._counter = counter

    def at(self, total: float) -> None:
        """It has counted so much; less than before: it began anew. One that others add right now waits."""
        if not self._arena.turn():
            return
        try:
            seen = self._arena.board[self._place]
            self._counter.add(total - seen if total >= seen else total)
            self._arena.board[self._place] = total
        finally:
            self._arena.done()
