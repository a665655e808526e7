"""Facts of requests that are over."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_service.domain import Candidate, Outcome, UsageRecord
from llm_service.observability import RequestFinished

STAGES = "observe shed resolve check remember replay rank admit share account call upstream".split()


class Tried:
    """A call of an upstream."""

    def __init__(
        self,
        provider: str = "openrouter",
        model: str = "careful",
        error_code: str | None = None,
        *,
        is_fault: bool = False,
    ) -> None:
        self.candidate = Candidate(provider=provider, upstream_model=model)
        self.error_code = error_code
        self.is_fault = is_fault


def record(**other: Any) -> UsageRecord:
    made = UsageRecord(
        request_id="req_1",
        stream_id=None,
        at=datetime(2026, 11, 26, tzinfo=UTC),
        key_id="key_1",
        user=None,
        tags={},
        surface="rest",
        model="openrouter/careful",
        provider="openrouter",
        upstream_model="careful",
        upstream_id=None,
        input_tokens=100,
        output_tokens=11,
        cached_input_tokens=40,
        reasoning_tokens=5,
        nano_usd=2_000_000,
        cost_source="provider",
        status="ok",
    )
    return replace(made, **other)


def finished(*, tries: Sequence[Tried] | None = None, **other: Any) -> RequestFinished:
    """By default: a whole answer of one call, with its record."""
    made = RequestFinished(
        request_id="req_1",
        stream_id=None,
        surface="rest",
        key_id="key_1",
        model="openrouter/careful",
        provider="openrouter",
        upstream_model="careful",
        stream=False,
        first_content_ms=300.0,
        duration_ms=1300.0,
        outcome=Outcome(status="ok"),
        attempts=1,
        cache="miss",
        record=record(),
        tries=[Tried()] if tries is None else tries,
    )
    return replace(made, **other)
