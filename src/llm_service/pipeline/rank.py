"""Stage: in which order the deployments of the route are to be tried for this request."""

from collections.abc import Awaitable

from llm_service.domain import Reply
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.routing import Ranking, Route


class Rank:
    """Fills ``exchange.order``, where there is something to choose."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        """Rank and go on; no coroutine of its own."""
        route = exchange.route
        if has_choice(route):
            exchange.order = self._ranking.order(route, exchange.request, exchange.tags)
        return proceed(exchange)


def has_choice(route: Route) -> bool:
    """Whether there is anything to rank: who is alone is asked whatever speaks against it."""
    return len(route.ways) > 1
