"""Configurations of other gateways become one of this service; what does not come over is told."""

from llm_service.migration.check import problems, stand_ins
from llm_service.migration.draft import Draft
from llm_service.migration.litellm.convert import BEYOND, from_litellm
from llm_service.migration.litellm.files import read_litellm
from llm_service.migration.report import Added, Item, Outcome, Report
from llm_service.migration.source import Found
from llm_service.migration.variables import Variable
from llm_service.migration.yaml_text import yaml_text

__all__ = [
    "BEYOND",
    "Added",
    "Draft",
    "Found",
    "Item",
    "Outcome",
    "Report",
    "Variable",
    "from_litellm",
    "problems",
    "read_litellm",
    "stand_ins",
    "yaml_text",
]
