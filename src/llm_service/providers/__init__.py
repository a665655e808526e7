"""Whom we buy from: one adapter per dialect."""

from llm_service.providers.base import Account, Provider, UpstreamCall
from llm_service.providers.options import DEFAULT_BASE_URLS, ProviderKind, ProviderOptions, TimeoutOptions

__all__ = [
    "DEFAULT_BASE_URLS",
    "Account",
    "Provider",
    "ProviderKind",
    "ProviderOptions",
    "TimeoutOptions",
    "UpstreamCall",
]
