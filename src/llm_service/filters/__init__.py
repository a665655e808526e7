"""Filters: what prompts and answers may hold."""

from llm_service.filters.asking import (
    Passage,
    Unreadable,
    decoded,
    emptied,
    ending,
    found_by_model,
    found_by_webhook,
    off_topic,
    passages_of,
    passages_said,
    verdict_request,
)
from llm_service.filters.build import FilterUnusable, build_filter, build_policies, filter_problems
from llm_service.filters.detector import Detector, Match
from llm_service.filters.judging import Edit, Findings, Judgement, Report, judge
from llm_service.filters.masking import Masks
from llm_service.filters.options import Entity, FilterOptions, FilterType
from llm_service.filters.policy import ASKING, NO_POLICY, Filters, LocalFilter, Policies, Policy
from llm_service.filters.screening import Screened, scores, screened
from llm_service.filters.sieve import FILTERED, HOLD_S, Sieve, Sifted, sift_whole
from llm_service.filters.text import LONGEST_HOLD, Text
from llm_service.filters.walk import has_token_ids

__all__ = [
    "ASKING",
    "FILTERED",
    "HOLD_S",
    "LONGEST_HOLD",
    "NO_POLICY",
    "Detector",
    "Edit",
    "Entity",
    "FilterOptions",
    "FilterType",
    "FilterUnusable",
    "Filters",
    "Findings",
    "Judgement",
    "LocalFilter",
    "Masks",
    "Match",
    "Passage",
    "Policies",
    "Policy",
    "Report",
    "Screened",
    "Sieve",
    "Sifted",
    "Text",
    "Unreadable",
    "build_filter",
    "build_policies",
    "decoded",
    "emptied",
    "ending",
    "filter_problems",
    "found_by_model",
    "found_by_webhook",
    "has_token_ids",
    "judge",
    "off_topic",
    "passages_of",
    "passages_said",
    "scores",
    "screened",
    "sift_whole",
    "verdict_request",
]
