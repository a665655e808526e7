"""Whom we buy from: one adapter per dialect."""

from llm_service.providers.options import ProviderKind, ProviderOptions, TimeoutOptions

__all__ = ["ProviderKind", "ProviderOptions", "TimeoutOptions"]
