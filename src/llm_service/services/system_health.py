"""How the process itself is, for ``/health``: its event loop, memory, descriptors, disk and requests."""

from typing import Any

from llm_service.domain import fact_in_order
from llm_service.routing import Overload
from llm_service.runtime import Pressure


@fact_in_order
class SystemHealth:
    """Reports figures of the last second, and of the last minute for the worst lag; ``None`` is not known or no limit.

    Costs no more than a few calls of the system, and waits for nothing.
    """

    pressure: Pressure
    overload: Overload

    def report(self) -> dict[str, Any]:
        """Everything that is known. ``shedding``: why the next request would be refused."""
        pressure, figures = self.pressure, self.pressure.figures()
        lag = pressure.lag
        return {
            "event_loop_lag_ms": {"mean": round(lag.mean_s * 1000, 1), "worst": round(lag.worst_s * 1000, 1)},
            "memory_bytes": pressure.memory_bytes,
            "memory_limit_bytes": pressure.memory_limit_bytes,
            "descriptors": figures.descriptors,
            "descriptors_limit": figures.descriptors_limit,
            "disk_free_bytes": figures.disk_free_bytes,
            "requests_in_flight": pressure.in_flight,
            "shedding": self.overload.why,
        }
