"""Whether another process lives: what it has begun is taken from it only when it is surely dead."""

from typing import Final

from llm_service.runtime import Clock
from llm_service.storage import LimitStore, StoreUnavailable

SILENT_S: Final = 3.0
"""How long a holder is silent before that is believed, beyond the time for which one beat counts."""
LOOKS: Final = 3
"""How often one looks again at least before silence is believed."""
MOST_SILENT: Final = 1000
"""Holders whose silence is known; all are forgotten when there are more, and count as alive for a while again."""


class Vitals:
    """Believes that a holder is dead when it saw it silent again and again for `SILENT_S`, by our own clock.

    A store that was frozen, or begins anew without memory, finds all holders silent until they beat. So silence is
    not counted across its absence, another life of it, or a time in which nobody here looked.
    """

    __slots__ = ("_holder", "_life", "_limits", "_monotonic", "_silence")

    def __init__(self, limits: LimitStore, *, holder: str, clock: Clock) -> None:
        """``holder`` names this process, which lives."""
        self._limits = limits
        self._holder = holder
        self._monotonic = clock.monotonic
        self._life = limits.life
        self._silence: dict[str, tuple[float, float]] = {}  # when one looked last, and the silence until then

    async def lives(self, holder: str) -> bool:
        """Whether a holder may live. To see that it is dead one has to ask again and again, every second or so."""
        if holder == self._holder:
            return True
        try:
            alive = await self._limits.lives(holder)
        except StoreUnavailable:
            self._silence.clear()
            return True
        if self._life != self._limits.life:
            self._life = self._limits.life
            self._silence.clear()
        if alive:
            self._silence.pop(holder, None)
            return True
        return self._heard_nothing(holder) < SILENT_S

    def _heard_nothing(self, holder: str) -> float:
        """Count the time since the last look, of which only so much is believed. The silence so far, seconds."""
        now_s = self._monotonic()
        looked_s, silence_s = self._silence.get(holder, (now_s, 0.0))
        passed_s = now_s - looked_s
        silence_s = 0.0 if passed_s > SILENT_S else silence_s + min(passed_s, SILENT_S / LOOKS)
        if len(self._silence) >= MOST_SILENT:
            self._silence.clear()
        self._silence[holder] = now_s, silence_s
        return silence_s
