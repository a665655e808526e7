"""``/health`` and its kin: open to everybody, they tell no secret and cost no money."""

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.responses import json_response
from llm_service.services import Health


class HealthRoutes:
    """Liveness, readiness and the whole report."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def live(self, _: Request) -> Response:
        """The process is up."""
        return json_response({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """200 while new requests are taken, else 503."""
        ready = self._health.ready
        return json_response({"status": "ok" if ready else "draining"}, status=200 if ready else 503)

    async def report(self, _: Request) -> Response:
        """Everything that is known."""
        return json_response(await self._health.report())
