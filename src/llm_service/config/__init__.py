"""Settings: defaults, file, environment and command line become one checked tree."""

from llm_service.config.load import FILE_NAME, Loaded, load_settings
from llm_service.config.mistake import Mistake, SettingsError
from llm_service.config.render import rendered
from llm_service.config.rules import SIMULATED, wants_sandbox
from llm_service.config.schema import json_schema
from llm_service.config.secrets import secrets_of
from llm_service.config.settings import Settings

__all__ = [
    "FILE_NAME",
    "SIMULATED",
    "Loaded",
    "Mistake",
    "Settings",
    "SettingsError",
    "json_schema",
    "load_settings",
    "rendered",
    "secrets_of",
    "wants_sandbox",
]
