"""``/admin/limits``: where limits stand now."""

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.services import LimitStates, standings_object


class LimitRoutes:
    """Reads alone: nothing is taken from a limit."""

    def __init__(self, limits: LimitStates) -> None:
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """The configured limits of one subject each; with ``key_id`` or ``user`` those of a key or a user."""
        given = query_of(request, known=("key_id", "user"))
        standings = await self._limits.states(key_id=given.get("key_id"), user=given.get("user"))
        return json_response(standings_object(standings))
