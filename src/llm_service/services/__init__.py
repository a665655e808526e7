"""What the doors call: the data plane and the control plane."""

from llm_service.services.authenticator import LOCAL_KEY, Authenticator
from llm_service.services.gateway import Gateway
from llm_service.services.health import Health
from llm_service.services.models import ModelEntry, Models
from llm_service.services.reconcile import Drift, Reconciled, Reconciler, correction

__all__ = [
    "LOCAL_KEY",
    "Authenticator",
    "Drift",
    "Gateway",
    "Health",
    "ModelEntry",
    "Models",
    "Reconciled",
    "Reconciler",
    "correction",
]
