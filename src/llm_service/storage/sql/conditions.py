"""A filter as a condition: put together from constants, never from what a caller sends."""

from typing import Final

from llm_service.domain import CACHE_HITS
from llm_service.storage.ports import UsageFilter
from llm_service.storage.sql.base import Value, Values
from llm_service.storage.sql.moments import micros

TAGGED: Final = """mark IN (
    SELECT mark FROM ledger_tags WHERE tag_name = :filter_tag_name AND tag_value = :filter_tag_value
)"""
HIT: Final = "cache IN (" + ", ".join(f"'{status}'" for status in CACHE_HITS) + ")"
"""Requests that the response cache answered."""
_TAG: Final = "tag_name = :filter_tag_name AND tag_value = :filter_tag_value"


def conditions(which: UsageFilter, *, of_tag_rollups: bool = False, of_period: bool = True) -> tuple[str, Values]:
    """A condition with its values. ``of_period``: with the filter's own bounds."""
    parts: list[str] = []
    values: dict[str, Value] = {}
    for column, value in (
        ("key_id", which.key_id),
        ("user_name", which.user),
        ("model", which.model),
        ("provider", which.provider),
        ("status", which.status),
        ("cache", which.cache),
    ):
        if value is not None:
            parts.append(f"{column} = :filter_{column}")
            values[f"filter_{column}"] = value
    if which.key_ids is not None:
        parts.append("key_id = ANY(:filter_key_ids)")
        values["filter_key_ids"] = list(which.key_ids)
    if which.tag is not None:
        parts.append(_TAG if of_tag_rollups else TAGGED)
        values["filter_tag_name"], values["filter_tag_value"] = which.tag
    if of_period and which.since is not None:
        parts.append("at >= :filter_since")
        values["filter_since"] = micros(which.since)
    if of_period and which.until is not None:
        parts.append("at < :filter_until")
        values["filter_until"] = micros(which.until)
    return " AND ".join(parts) or "1 = 1", values
