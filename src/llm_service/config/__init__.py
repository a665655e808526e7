"""Settings: defaults, file, environment and command line become one checked tree."""

from llm_service.config.file_text import Unreadable, read_text
from llm_service.config.load import FILE_NAME, MAX_FILE_BYTES, Loaded, load_settings
from llm_service.config.mistake import Mistake, Place, SettingsError, Source
from llm_service.config.node import Entry, Fields, Items, Node, Scalar, is_null
from llm_service.config.render import rendered
from llm_service.config.rules import SIMULATED, wants_sandbox
from llm_service.config.schema import json_schema
from llm_service.config.secrets import secrets_of
from llm_service.config.settings import Settings
from llm_service.config.yaml_file import read_yaml

__all__ = [
    "FILE_NAME",
    "MAX_FILE_BYTES",
    "SIMULATED",
    "Entry",
    "Fields",
    "Items",
    "Loaded",
    "Mistake",
    "Node",
    "Place",
    "Scalar",
    "Settings",
    "SettingsError",
    "Source",
    "Unreadable",
    "is_null",
    "json_schema",
    "load_settings",
    "read_text",
    "read_yaml",
    "rendered",
    "secrets_of",
    "wants_sandbox",
]
