"""``/admin/providers``: whom models are bought from, for whoever administrates the service."""

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import json_body
from llm_service.services import STATE_ACTS, ProviderAdmin, provider_object


class ProviderRoutes:
    """List, show, switch, try."""

    def __init__(self, providers: ProviderAdmin) -> None:
        self._providers = providers

    async def list(self, request: Request) -> Response:
        """All that are configured, on one page."""
        query_of(request, known=())
        data = [provider_object(seen) for seen in self._providers.list()]
        return json_response({"data": data, "next_cursor": None})

    async def get(self, request: Request) -> Response:
        """One of them."""
        return json_response(provider_object(self._providers.get(_name_of(request))))

    async def update(self, request: Request) -> Response:
        """One of them, on, off or being drained."""
        seen = await self._providers.change(_name_of(request), await json_body(request))
        request.state.act = STATE_ACTS[seen.state]
        return json_response(provider_object(seen))

    async def test(self, request: Request) -> Response:
        """What came of asking its free endpoints: 200 also where they fail."""
        await json_body(request, optional=True)
        return json_response(await self._providers.test(_name_of(request)))


def _name_of(request: Request) -> str:
    return str(request.path_params["name"])
