"""Whom we buy from: one adapter per dialect."""

from llm_service.providers.base import Account, Dialect, GenerationRecord, Provider, UpstreamCall
from llm_service.providers.catalog import SERVERS
from llm_service.providers.options import ProviderKind, ProviderOptions, TimeoutOptions
from llm_service.providers.registry import (
    base_url_for,
    credentials_for,
    dialect_for,
    price_list_for,
    retired_names,
    server_for,
)
from llm_service.providers.sender import HttpProvider

__all__ = [
    "SERVERS",
    "Account",
    "Dialect",
    "GenerationRecord",
    "HttpProvider",
    "Provider",
    "ProviderKind",
    "ProviderOptions",
    "TimeoutOptions",
    "UpstreamCall",
    "base_url_for",
    "credentials_for",
    "dialect_for",
    "price_list_for",
    "retired_names",
    "server_for",
]
