"""Which deployment serves a request: strategies, breakers, budgets of retries, bulkheads."""

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

__all__ = [
    "Ability",
    "BreakerOptions",
    "DeploymentOptions",
    "HedgeOptions",
    "ModelOptions",
    "OverloadOptions",
    "RoutingOptions",
    "Strategy",
]
