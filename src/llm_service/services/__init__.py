"""What the doors call: the data plane and the control plane."""

from llm_service.services.authenticator import LOCAL_KEY, Authenticator
from llm_service.services.gateway import Gateway
from llm_service.services.health import Health, Standing
from llm_service.services.models import ModelEntry, Models

__all__ = ["LOCAL_KEY", "Authenticator", "Gateway", "Health", "ModelEntry", "Models", "Standing"]
