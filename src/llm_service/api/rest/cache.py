"""``/admin/cache``: how full the response cache is, what it saved, and how it is made to forget."""

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.services import OLDER_THAN, SELECTORS, CacheAdmin, stats_object


class CacheRoutes:
    """Statistics for those who may read, purges for admins."""

    def __init__(self, cache: CacheAdmin) -> None:
        self._cache = cache

    async def stats(self, request: Request) -> Response:
        """Sizes, and what the cache did in a period."""
        given = query_of(request, known=("since", "until", "by"))
        return json_response(stats_object(await self._cache.stats(given)))

    async def purge(self, request: Request) -> Response:
        """How many answers are forgotten."""
        given = query_of(request, known=(*SELECTORS, OLDER_THAN))
        return json_response({"purged": await self._cache.purge(given)})
