"""What the service tells about itself."""

from llm_service.observability.options import ObservabilityOptions

__all__ = ["ObservabilityOptions"]
