"""Settings: defaults, file, environment and command line become one checked tree."""

from llm_service.config.settings import Settings

__all__ = ["Settings"]
