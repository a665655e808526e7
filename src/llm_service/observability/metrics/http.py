"""Counts HTTP answers by the template of their route, never by the path that was asked for."""

from typing import Final

from llm_service.observability.metrics.catalog import HTTP_REQUESTS
from llm_service.observability.metrics.meters import OTHER, Meters

METHODS: Final = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
STATUSES: Final = range(100, 600)


class HttpMeter:
    """``answered`` once for each answer."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self._view = meters.view
        self._cells: dict[tuple[str, str, int], int] = {}

    def answered(self, method: str, route: str, status: int) -> None:
        """An answer began. ``route``: a template from the table of routes, `other` for what none of them serves."""
        key = method, route, status
        cell = self._cells.get(key, -1)
        self._view[cell if cell >= 0 else self._bind(*key)] += 1.0

    def _bind(self, method: str, route: str, status: int) -> int:
        method = method if method in METHODS else OTHER
        cell = self._meters.cell(HTTP_REQUESTS, (method, route, str(status) if status in STATUSES else OTHER))
        if method != OTHER:
            self._cells[method, route, status] = cell
        return cell
