"""What a process finds: its settings, where its data lies, and whether its providers are simulated."""

from llm_service.environment.sandbox_mode import (
    ALWAYS_THERE,
    LOCAL_PATH,
    NOTHING_TO_SERVE,
    simulate,
    simulated_providers,
    upstream_of,
    wants_sandbox,
)
from llm_service.environment.settings import data_dir_of, load

__all__ = [
    "ALWAYS_THERE",
    "LOCAL_PATH",
    "NOTHING_TO_SERVE",
    "data_dir_of",
    "load",
    "simulate",
    "simulated_providers",
    "upstream_of",
    "wants_sandbox",
]
