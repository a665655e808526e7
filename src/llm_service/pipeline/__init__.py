"""The one row of stages that every request passes, and the way out through the watchers they leave."""

from llm_service.pipeline.base import Exchange, Proceed, Row, Stage, Watcher, compose
from llm_service.pipeline.call_provider import CallProvider
from llm_service.pipeline.delivery import Delivery, WatchedReply
from llm_service.pipeline.observe import Observe
from llm_service.pipeline.options import DeploymentOptions, ModelOptions
from llm_service.pipeline.resolve import Resolve, Resolver, check_allowed

__all__ = [
    "CallProvider",
    "Delivery",
    "DeploymentOptions",
    "Exchange",
    "ModelOptions",
    "Observe",
    "Proceed",
    "Resolve",
    "Resolver",
    "Row",
    "Stage",
    "WatchedReply",
    "Watcher",
    "check_allowed",
    "compose",
]
