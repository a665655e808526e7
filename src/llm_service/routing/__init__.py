"""Which deployment serves a request: strategies, breakers, budgets of retries, bulkheads."""

from llm_service.routing.adaptive import AdaptiveBound
from llm_service.routing.breaker import Breaker, BreakerState
from llm_service.routing.breaker_sharing import BREAKERS_TOPIC, BreakerSharing
from llm_service.routing.breakers import BreakerReport, Breakers, GroupsOf
from llm_service.routing.bulkhead import Bulkhead, Places
from llm_service.routing.fit import Needs, ROUTE_TAG, unfit, window
from llm_service.routing.hedge import Hedging, Times
from llm_service.routing.latency import PeakEwma, RecentTimes
from llm_service.routing.options import Ability, BreakerOptions, DeploymentOptions, HedgeOptions, ModelOptions, OverloadOptions, RoutingOptions, Strategy
from llm_service.routing.overload import Overload, Why
from llm_service.routing.retry_budget import RetryBudget
from llm_service.routing.sticky import preferred, prefix_digest
from llm_service.routing.strategy import CostOf, Order, order, score, unpriced
from llm_service.routing.verdicts import Cause, is_deployments_fault, may_fall_back, may_retry
from llm_service.routing.way import Standing, Standings, Way, Ways, way_of

__all__ = [
    "Ability",
    "AdaptiveBound",
    "BREAKERS_TOPIC",
    "Breaker",
    "BreakerOptions",
    "BreakerReport",
    "BreakerSharing",
    "BreakerState",
    "Breakers",
    "Bulkhead",
    "Cause",
    "CostOf",
    "DeploymentOptions",
    "GroupsOf",
    "HedgeOptions",
    "Hedging",
    "ModelOptions",
    "Needs",
    "Order",
    "Overload",
    "OverloadOptions",
    "PeakEwma",
    "Places",
    "ROUTE_TAG",
    "RecentTimes",
    "RetryBudget",
    "RoutingOptions",
    "Standing",
    "Standings",
    "Strategy",
    "Times",
    "Way",
    "Ways",
    "Why",
    "is_deployments_fault",
    "may_fall_back",
    "may_retry",
    "order",
    "preferred",
    "prefix_digest",
    "score",
    "unfit",
    "unpriced",
    "way_of",
    "window",
]
