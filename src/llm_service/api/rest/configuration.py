"""``/admin/config``: what the service runs on."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.responses import json_response


class ConfigRoutes:
    """The settings. ``shown`` gives them as plain data with every secret masked."""

    def __init__(self, shown: Callable[[], Mapping[str, Any]]) -> None:
        self._shown = shown

    async def get(self, _: Request) -> Response:
        """All settings in force, defaults included."""
        return json_response({"settings": self._shown()})
