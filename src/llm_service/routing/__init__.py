"""Which deployment serves a request: strategies, breakers, budgets of retries, bulkheads."""

from llm_service.routing.adaptive import AdaptiveBound
from llm_service.routing.breaker import Breaker, BreakerState
from llm_service.routing.breaker_sharing import BREAKERS_TOPIC, BreakerSharing
from llm_service.routing.breakers import BreakerReport, Breakers, GroupsOf
from llm_service.routing.bulkhead import Bulkhead, Places, no_place
from llm_service.routing.figures import Measures, ProviderFigures, TrippedBreaker
from llm_service.routing.fit import ROUTE_TAG, Needs, lacks, unfit, window
from llm_service.routing.fleet import Fleet, Home, Member, Pending
from llm_service.routing.hedge import Hedging, Times
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
from llm_service.routing.overload import Overload, Why
from llm_service.routing.ranking import Judgement, Obstacle, PriceOf, Ranking, named, needs_of
from llm_service.routing.retry_budget import RetryBudget
from llm_service.routing.route import NOWHERE, Group, Route, Trigger
from llm_service.routing.sticky import preferred, prefix_digest
from llm_service.routing.strategy import CostOf, Order, order, score, unpriced
from llm_service.routing.verdicts import Cause, is_deployments_fault, may_fall_back, may_retry
from llm_service.routing.way import Standing, Standings, Way, Ways, way_of

__all__ = [
    "BREAKERS_TOPIC",
    "NOWHERE",
    "ROUTE_TAG",
    "Ability",
    "AdaptiveBound",
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
    "Fleet",
    "Group",
    "GroupsOf",
    "HedgeOptions",
    "Hedging",
    "Home",
    "Judgement",
    "Measures",
    "Member",
    "ModelOptions",
    "Needs",
    "Obstacle",
    "Order",
    "Overload",
    "OverloadOptions",
    "PeakEwma",
    "Pending",
    "Places",
    "PriceOf",
    "ProviderFigures",
    "Ranking",
    "RecentTimes",
    "RetryBudget",
    "Route",
    "RoutingOptions",
    "Standing",
    "Standings",
    "Strategy",
    "Times",
    "Trigger",
    "TrippedBreaker",
    "Way",
    "Ways",
    "Why",
    "is_deployments_fault",
    "lacks",
    "may_fall_back",
    "may_retry",
    "named",
    "needs_of",
    "no_place",
    "order",
    "preferred",
    "prefix_digest",
    "score",
    "unfit",
    "unpriced",
    "way_of",
    "window",
]
