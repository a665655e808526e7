"""The one row of stages that every request passes."""

from llm_service.pipeline.options import DeploymentOptions, ModelOptions

__all__ = ["DeploymentOptions", "ModelOptions"]
