"""Which deployment serves a request: strategies, breakers, budgets of retries, bulkheads."""

from llm_service.routing.fit import ROUTE_TAG, Needs, unfit, window
from llm_service.routing.latency import PeakEwma, RecentTimes
from llm_service.routing.options import (
    Ability,
    BreakerOptions,
    DeploymentOptions,
    HedgeOptions,
    ModelOptions,
    OverloadOptions,
    RoutingOptions,
    Strategy,
)
from llm_service.routing.sticky import preferred, prefix_digest
from llm_service.routing.strategy import CostOf, Order, order, score, unpriced
from llm_service.routing.way import Standing, Standings, Way, Ways, way_of

__all__ = [
    "ROUTE_TAG",
    "Ability",
    "BreakerOptions",
    "CostOf",
    "DeploymentOptions",
    "HedgeOptions",
    "ModelOptions",
    "Needs",
    "Order",
    "OverloadOptions",
    "PeakEwma",
    "RecentTimes",
    "RoutingOptions",
    "Standing",
    "Standings",
    "Strategy",
    "Way",
    "Ways",
    "order",
    "preferred",
    "prefix_digest",
    "score",
    "unfit",
    "unpriced",
    "way_of",
    "window",
]
