"""Stage: a request too many is refused before it costs anything, so that those that run are served well."""

import random
from collections.abc import Awaitable
from typing import Final

from llm_service.domain import Outcome, Overloaded
from llm_service.pipeline.base import Exchange, Passing, Proceed, Watcher
from llm_service.routing import Overload
from llm_service.runtime import Pressure

COME_AGAIN_S: Final = 1.0
"""On average: clients that were refused together come again at different moments."""


class Shed(Passing):
    """Counts the requests in flight, from here until they settle, and lets in as many as there is room for."""

    def __init__(self, pressure: Pressure, overload: Overload, dice: random.Random) -> None:
        self._pressure = pressure
        self._overload = overload
        self._dice = dice
        self._leaving = _Leaving(pressure)

    def passes(self, exchange: Exchange, proceed: Proceed) -> None:
        """Go on, or refuse with Overloaded and a time to come again."""
        pressure, overload = self._pressure, self._overload
        if overload.judged != pressure.measured:
            overload.judge()
        if pressure.in_flight >= overload.room and not exchange.is_inner:  # what it is asked for has been let in
            overload.refused += 1
            raise too_much(COME_AGAIN_S * self._dice.uniform(0.5, 1.5))
        pressure.in_flight += 1
        exchange.watchers.append(self._leaving)


def too_much(retry_after_s: float = COME_AGAIN_S) -> Overloaded:
    """What a request too many is told."""
    said = "The service is asked for more than it can serve well; try again in a moment."
    return Overloaded(said, retry_after_s=retry_after_s)


class _Leaving(Watcher):
    """One for all requests: it has nothing to remember."""

    __slots__ = ("_pressure",)

    def __init__(self, pressure: Pressure) -> None:
        self._pressure = pressure

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        self._pressure.in_flight -= 1
        return None
