"""Filters: what prompts and answers may hold."""

from llm_service.filters.detector import Detector, Match
from llm_service.filters.options import Entity, FilterOptions, FilterType
from llm_service.filters.policy import NO_POLICY, Filters, LocalFilter, Policy
from llm_service.filters.text import LONGEST_HOLD, Text

__all__ = [
    "LONGEST_HOLD",
    "NO_POLICY",
    "Detector",
    "Entity",
    "FilterOptions",
    "FilterType",
    "Filters",
    "LocalFilter",
    "Match",
    "Policy",
    "Text",
]
