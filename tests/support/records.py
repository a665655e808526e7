"""Records of the ledger with whatever a test cares about."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_service.domain import NO_TAGS, UsageRecord

A_RECORD = UsageRecord(
    request_id="req_1",
    stream_id=None,
    at=datetime(2026, 11, 25, 12, tzinfo=UTC),
    key_id="key_1",
    user=None,
    tags=NO_TAGS,
    surface="rest",
    model="p/m",
    provider="p",
    upstream_model="m",
    upstream_id=None,
    input_tokens=1,
    output_tokens=2,
    cached_input_tokens=0,
    reasoning_tokens=0,
    nano_usd=0,
    cost_source="none",
    status="ok",
)


def a_record(**fields: Any) -> UsageRecord:
    """A record with these fields."""
    return replace(A_RECORD, **fields)
