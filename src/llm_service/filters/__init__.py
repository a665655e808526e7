"""Filters: what prompts and answers may hold."""

from llm_service.filters.build import build_filter, build_policies, filter_problems
from llm_service.filters.detector import Detector, Match
from llm_service.filters.judging import Report
from llm_service.filters.masking import Masks
from llm_service.filters.options import Entity, FilterOptions, FilterType
from llm_service.filters.policy import ASKING, NO_POLICY, Filters, LocalFilter, Policies, Policy
from llm_service.filters.screening import Screened, scores, screened
from llm_service.filters.text import LONGEST_HOLD, Text

__all__ = [
    "ASKING",
    "LONGEST_HOLD",
    "NO_POLICY",
    "Detector",
    "Entity",
    "FilterOptions",
    "FilterType",
    "Filters",
    "LocalFilter",
    "Masks",
    "Match",
    "Policies",
    "Policy",
    "Report",
    "Screened",
    "Text",
    "build_filter",
    "build_policies",
    "filter_problems",
    "scores",
    "screened",
]
