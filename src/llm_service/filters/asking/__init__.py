"""Filters that judge by asking somebody: what is asked, and how the answer is read. Pure."""

from llm_service.filters.asking.findings import Unreadable, found_by_model, found_by_webhook, off_topic
from llm_service.filters.asking.instructions import verdict_request
from llm_service.filters.asking.passages import Passage, passages_of, passages_said
from llm_service.filters.asking.withheld import decoded, emptied, ending

__all__ = [
    "Passage",
    "Unreadable",
    "decoded",
    "emptied",
    "ending",
    "found_by_model",
    "found_by_webhook",
    "off_topic",
    "passages_of",
    "passages_said",
    "verdict_request",
]
