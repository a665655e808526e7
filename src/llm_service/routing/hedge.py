"""When a late attempt gets a second one beside it, and how many of them are allowed: by requests and by money."""

from typing import Final, Protocol
from weakref import WeakKeyDictionary

from llm_service.routing.options import HedgeOptions
from llm_service.routing.rolling import Rolling

MINUTE_S: Final = 60
USUAL_S: Final = 0.1
"""So long what is usual counts, before it is found out anew."""


class Times(Protocol):
    """The times to the first content that a deployment took lately."""

    def quantile(self, q: float, now: float) -> float | None:
        """The time in seconds that a share ``q`` of them did not pass; ``None`` while there are too few."""


class Hedging:
    """The policy of second attempts for one process. Times are monotonic seconds; nothing takes longer with more load.

    At the moment in which a second attempt begins, those of the last minute are, with it, at most ``max_requests`` of
    the requests of the last minute, or one. What attempts that lost have cost, and those that run may cost, is at most
    ``max_cost`` of what the requests of the last minute did cost, or one attempt. A share of 0 allows none.
    ``options`` may be replaced while it runs.
    """

    __slots__ = ("_asked", "_begun", "_cost", "_lost", "_set_aside", "_usual", "options")

    def __init__(self, options: HedgeOptions) -> None:
        self.options = options
        self._asked = Rolling(MINUTE_S, 1.0)
        self._cost = Rolling(MINUTE_S, 1.0)
        self._begun = Rolling(MINUTE_S + 1, 1.0)
        self._lost = Rolling(MINUTE_S + 1, 1.0)
        self._set_aside = 0
        self._usual: WeakKeyDictionary[Times, tuple[float, float | None]] = WeakKeyDictionary()

    def asked(self, now: float) -> None:
        """A request has come; each one counts, whether or not it will be late."""
        if self.options.enabled:
            self._asked.add(now)

    def cost(self, nano_usd: int, now: float) -> None:
        """A request has ended, and this is what its answer cost."""
        if self.options.enabled:
            self._cost.add(now, nano_usd)

    def delay_s(self, times: Times, now: float) -> float | None:
        """How long the first attempt may take before a second one begins; ``None``: there will be none."""
        options = self.options
        if not options.enabled:
            return None
        known = self._usual.get(times)
        if known is None or now - known[0] >= USUAL_S:
            known = self._usual[times] = now, times.quantile(options.quantile, now)
        usual_s = known[1]
        return None if usual_s is None else max(usual_s, options.min_delay_s)

    def begin(self, now: float, *, may_cost: int | None = None) -> bool:
        """Whether a second attempt may begin; if so it counts from now on, until ``lost`` is told of the loser.

        ``may_cost``: what an attempt that loses may cost, in nano-USD. ``None``: unknown; requests alone count then.
        """
        if not self.options.enabled or not self._has_room(now) or not self._pays(may_cost, now):
            return False
        self._begun.add(now)
        self._set_aside += may_cost or 0
        return True

    def lost(self, nano_usd: int | None, now: float, *, may_cost: int | None = None) -> None:
        """The attempt that lost has ended; told once for each that ``begin`` allowed, with the same ``may_cost``.

        ``nano_usd``: what it cost; ``None``: unknown, it counts with what it may have cost.
        """
        self._set_aside -= may_cost or 0
        self._lost.add(now, nano_usd if nano_usd is not None else may_cost or 0)

    def _has_room(self, now: float) -> bool:
        share = self.options.max_requests
        return share > 0 and self._begun.value(now) + 1 <= max(1.0, share * self._asked.value(now))

    def _pays(self, may_cost: int | None, now: float) -> bool:
        if may_cost is None:
            return True
        share = self.options.max_cost
        taken = self._lost.value(now) + self._set_aside
        return share > 0 and (taken == 0 or taken + may_cost <= share * self._cost.value(now))


__all__ = ["Hedging", "Times"]
