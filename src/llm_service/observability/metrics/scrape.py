"""What a scraper gets: all figures of this machine as text, in the format that it takes."""

from llm_service.observability.metrics.exposition import (
    OPENMETRICS_TYPE,
    PROMETHEUS_TYPE,
    Exposition,
    wants_openmetrics,
)
from llm_service.observability.metrics.meters import Meters
from llm_service.observability.metrics.whole import MetricsSource
from llm_service.runtime import Clock


class Scrape:
    """Reads and renders, without holding the event loop for long. Exemplars are those of this process."""

    def __init__(self, source: MetricsSource, meters: Meters, *, clock: Clock) -> None:
        self._source = source
        self._meters = meters
        self._exposition = Exposition(clock)

    async def text(self, accept: str) -> tuple[bytes, str]:
        """The figures, and their media type. ``accept``: the header, empty where there is none."""
        snapshot = await self._source.read()
        if wants_openmetrics(accept):
            return await self._exposition.openmetrics(snapshot, self._meters.exemplars_of), OPENMETRICS_TYPE
        return await self._exposition.prometheus(snapshot), PROMETHEUS_TYPE
