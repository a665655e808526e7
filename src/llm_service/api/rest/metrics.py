"""``/metrics``: all figures of this machine, for Prometheus and whoever reads its formats."""

from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from llm_service.domain import Scope

Scraped = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Gives the figures as text and its media type, by what the ``Accept`` header takes."""


class MetricsRoutes:
    """``is_open``: to everybody. Whichever process is asked answers for all of them."""

    def __init__(self, scraped: Scraped, *, is_open: bool) -> None:
        self._scraped = scraped
        self.access: Scope | Literal["open"] = "open" if is_open else "read"

    async def text(self, request: Request) -> Response:
        """OpenMetrics for a scraper that takes it, else Prometheus's text format."""
        body, media_type = await self._scraped(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type, "vary": "accept", "cache-control": "no-store"})
