"""The response cache: which requests are the same, and which answers may be given again."""

from llm_service.cache.complete import is_complete_answer, may_keep_events, may_keep_whole
from llm_service.cache.digest import Address, digest_of
from llm_service.cache.freshness import (
    Freshness,
    age_s,
    is_servable,
    may_serve_on_error,
    may_serve_while_revalidating,
    served_as,
    ttl_s,
)
from llm_service.cache.options import CacheOptions, SemanticMode, SemanticOptions, TenantScope
from llm_service.cache.policy import CachePlan, CachePolicy
from llm_service.cache.semantic.embedder import Embedder, MiniLm, load_minilm, missing_packages
from llm_service.cache.semantic.likeness import Search, SemanticCache, SemanticCounts
from llm_service.cache.semantic.question import Question
from llm_service.cache.simulate import PastRequest, Traffic, Trial, TrialResult, simulate
from llm_service.cache.status import ForwardReason, forward_reason, forward_status, hit_status

__all__ = [
    "Address",
    "CacheOptions",
    "CachePlan",
    "CachePolicy",
    "Embedder",
    "ForwardReason",
    "Freshness",
    "MiniLm",
    "PastRequest",
    "Question",
    "Search",
    "SemanticCache",
    "SemanticCounts",
    "SemanticMode",
    "SemanticOptions",
    "TenantScope",
    "Traffic",
    "Trial",
    "TrialResult",
    "age_s",
    "digest_of",
    "forward_reason",
    "forward_status",
    "hit_status",
    "is_complete_answer",
    "is_servable",
    "load_minilm",
    "may_keep_events",
    "may_keep_whole",
    "may_serve_on_error",
    "may_serve_while_revalidating",
    "missing_packages",
    "served_as",
    "simulate",
    "ttl_s",
]
