"""Asks, once a second, whoever knows a figure that nobody counts: how much runs, what is up, what the system says."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from llm_service.observability.metrics.meters import Counter, Meters, Reading
from llm_service.runtime import Clock, OnFailure

EVERY_S: Final = 1.0
SLOW_S: Final = 5.0
"""How often those are asked that have to be waited for."""

Source = Callable[[], Iterable[Reading]]
"""Tells its figures at once."""
SlowSource = Callable[[], Awaitable[Iterable[Reading]]]
"""Asks others, such as a database; is waited for."""


class Rising:
    """Turns what somebody else counts from its own beginning into a counter."""

    __slots__ = ("_counter", "_seen")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._seen = 0.0

    def at(self, total: float) -> None:
        """It has counted so much; less than before: it began anew."""
        self._counter.add(total - self._seen if total >= self._seen else total)
        self._seen = total


class Sampler:
    """Sets the gauges of this process. A source that fails is reported, and the others are asked all the same.

    ``of_service``: the sources of the generation of the settings that is in force; replaced with each.
    """

    def __init__(
        self,
        meters: Meters,
        *,
        sources: Sequence[Source],
        slow: Sequence[SlowSource],
        clock: Clock,
        on_failure: OnFailure,
    ) -> None:
        self._meters = meters
        self._sources = sources
        self._slow = slow
        self._clock = clock
        self._on_failure = on_failure
        self._slow_readings: dict[int, Sequence[Reading]] = {}
        self.of_service: Sequence[Source] = ()
        self.slow_of_service: Sequence[SlowSource] = ()

    async def run(self) -> None:
        """Set the gauges once a second, until it is cancelled; from then on the process tells of nothing."""
        try:
            while True:
                self.sample()
                await self._clock.sleep(EVERY_S)
        finally:
            self._meters.show((), at=0.0)  # it closes its stores, and is neither serving nor late

    async def run_slow(self) -> None:
        """Ask those that have to be waited for, until it is cancelled. A task of its own: they may take long."""
        while True:
            await self.ask()
            await self._clock.sleep(SLOW_S)

    def sample(self) -> None:
        """Set the gauges now."""
        readings: list[Reading] = []
        for source in (*self._sources, *self.of_service):
            try:
                readings += source()
            except Exception as defect:  # noqa: BLE001 - reported; the others are still to be asked
                self._on_failure("metrics", defect)
        for known in self._slow_readings.values():
            readings += known
        self._meters.show(readings, at=self._clock.monotonic())

    async def ask(self) -> None:
        """Ask those that have to be waited for. What one tells is known at once, however long the next one takes."""
        sources, known = (*self._slow, *self.slow_of_service), self._slow_readings
        for place, source in enumerate(sources):
            try:
                known[place] = tuple(await source())
            except Exception as defect:  # noqa: BLE001 - reported; the others are still to be asked
                known.pop(place, None)
                self._on_failure("metrics", defect)
        for gone in range(len(sources), max(known, default=0) + 1):
            known.pop(gone, None)
