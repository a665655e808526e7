"""Stage: in which order the deployments of the route are to be tried for this request."""

from collections.abc import Mapping

from llm_service.pipeline.base import Exchange, Passing, Proceed
from llm_service.routing import ROUTE_TAG, Ranking, Route


class Rank(Passing):
    """Fills ``exchange.order``, where there is something to choose."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking

    def passes(self, exchange: Exchange, proceed: Proceed) -> None:
        """Rank and go on."""
        route = exchange.route
        if has_choice(route, exchange.tags):
            exchange.order = self._ranking.order(route, exchange.sent, exchange.tags)


def has_choice(route: Route, tags: Mapping[str, str]) -> bool:
    """Whether there is anything to rank: who is alone is asked whatever speaks against it, but for a tag."""
    return len(route.ways) > 1 or ROUTE_TAG in tags
