"""Stage: in which order the deployments of the route are to be tried for this request."""

from collections.abc import Awaitable

from llm_service.domain import Reply
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.routing import Ranking


class Rank:
    """Fills ``exchange.order``, where there is something to choose."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        """Rank and go on; no coroutine of its own."""
        route = exchange.route
        if len(route.ways) > 1:
            exchange.order = self._ranking.order(route, exchange.request, exchange.tags)
        return proceed(exchange)
