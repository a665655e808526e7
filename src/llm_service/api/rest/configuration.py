"""``/admin/config``: what the service runs on."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import json_body
from llm_service.domain import Body

Reload = Callable[[], Awaitable[Mapping[str, Any]]]
"""Has the settings read again and put in force everywhere, or nowhere; tells the generation, raises InvalidRequest."""
Change = Callable[[Body], Awaitable[None]]
"""Decides at run time what holds in place of settings, everywhere; raises LLMServiceError."""


class ConfigRoutes:
    """The settings. ``shown`` gives them as plain data with every secret masked, ``overrides`` what was decided at
    run time and holds in their place."""

    def __init__(
        self,
        shown: Callable[[], Mapping[str, Any]],
        reload: Reload,
        overrides: Callable[[], Mapping[str, Any]],
        change: Change,
    ) -> None:
        self._shown = shown
        self._reload = reload
        self._overrides = overrides
        self._change = change

    async def get(self, _: Request) -> Response:
        """All settings in force, defaults included, and what holds in place of some of them."""
        return json_response({"settings": self._shown(), "overrides": self._overrides()})

    async def change(self, request: Request) -> Response:
        """Change at run time what can be; what holds then."""
        await self._change(await json_body(request))
        return await self.get(request)

    async def reload(self, _: Request) -> Response:
        """Read the settings again, on every worker or on none."""
        return json_response(await self._reload())
