"""Whom we buy from: one adapter per dialect."""

from llm_service.providers.base import Account, Dialect, GenerationRecord, Provider, UpstreamCall
from llm_service.providers.catalog import SERVERS
from llm_service.providers.expected import Expected, FieldDrift, account_drift, catalogue_drift
from llm_service.providers.options import ProviderKind, ProviderOptions, TimeoutOptions
from llm_service.providers.registry import (
    base_url_for,
    credentials_for,
    dialect_for,
    expected_of,
    price_list_for,
    retired_names,
    server_for,
)
from llm_service.providers.sender import HttpProvider, RefusedStatus

__all__ = [
    "SERVERS",
    "Account",
    "Dialect",
    "Expected",
    "FieldDrift",
    "GenerationRecord",
    "HttpProvider",
    "Provider",
    "ProviderKind",
    "ProviderOptions",
    "RefusedStatus",
    "TimeoutOptions",
    "UpstreamCall",
    "account_drift",
    "base_url_for",
    "catalogue_drift",
    "credentials_for",
    "dialect_for",
    "expected_of",
    "price_list_for",
    "retired_names",
    "server_for",
]
