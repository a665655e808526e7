"""What the system says of this process."""

import resource
from collections.abc import Sequence

from llm_service.observability.metrics import catalog
from llm_service.observability.metrics.meters import Meters, Reading
from llm_service.observability.metrics.sampler import Rising
from llm_service.runtime import Clock, Pressure


class ProcessFigures:
    """Memory, descriptors, CPU time, the event loop's lag, and requests in flight."""

    def __init__(self, meters: Meters, pressure: Pressure, *, version: str, clock: Clock) -> None:
        self._pressure = pressure
        self._cpu = Rising(meters.counter(catalog.CPU))
        self._started = clock.time()
        self._version = version

    def __call__(self) -> Sequence[Reading]:
        pressure = self._pressure
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._cpu.at(used.ru_utime + used.ru_stime)
        found: list[Reading] = [
            (catalog.WORKERS, (), 1.0),
            (catalog.BUILD, (self._version,), 1.0),
            (catalog.OBJECTIVE, (), catalog.PROMISED),
            (catalog.STARTED, (), self._started),
            (catalog.IN_FLIGHT, (), float(pressure.in_flight)),
            (catalog.LOOP_LAG, (), pressure.lag.mean_s),
        ]
        if pressure.memory_bytes is not None:
            found.append((catalog.MEMORY, (), float(pressure.memory_bytes)))
        if (descriptors := pressure.figures().descriptors) is not None:
            found.append((catalog.DESCRIPTORS, (), float(descriptors)))
        return found
