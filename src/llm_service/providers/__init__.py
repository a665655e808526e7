"""Whom we buy from: one adapter per dialect."""

from llm_service.providers.base import Account, Provider, UpstreamCall
from llm_service.providers.options import DEFAULT_BASE_URLS, ProviderKind, ProviderOptions, TimeoutOptions
from llm_service.providers.registry import base_url_for, credential_headers, dialect_for, retired_names

__all__ = [
    "DEFAULT_BASE_URLS",
    "Account",
    "Provider",
    "ProviderKind",
    "ProviderOptions",
    "TimeoutOptions",
    "UpstreamCall",
    "base_url_for",
    "credential_headers",
    "dialect_for",
    "retired_names",
]
