"""Figures of requests, cache, providers, limits, money, stores and processes: counted here, read as one whole."""

from llm_service.observability.metrics.metric import Kind, Merge, Metric
from llm_service.observability.metrics.snapshot import Distribution, Family, Labels, Snapshot

__all__ = ["Distribution", "Family", "Kind", "Labels", "Merge", "Metric", "Snapshot"]
