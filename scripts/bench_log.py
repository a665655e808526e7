"""What a request pays for its line in the log, in microseconds: the best of many rounds.

python scripts/bench_log.py
"""

import os
import timeit
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from llm_service.domain import Cost, Outcome, UpstreamTimeout, Usage, UsageRecord
from llm_service.observability import JsonAccessLog, ObservabilityOptions, RequestFinished

ROUNDS: Final = 40
LINES: Final = 5_000


RECORD: Final = UsageRecord(
    request_id="req_0675fd8a4aa94acc3cd1e26eb8",
    stream_id="str_0675fd8a4aa94acc3cd1e26eb8",
    at=datetime(2026, 11, 26, tzinfo=UTC),
    key_id="key_0675fd8a4aa94acc3cd1e26eb8",
    user=None,
    tags={},
    surface="rest",
    model="deepseek/deepseek-flash",
    provider="deepseek",
    upstream_model="deepseek-flash",
    upstream_id="gen-1",
    input_tokens=120,
    output_tokens=300,
    cached_input_tokens=0,
    reasoning_tokens=0,
    nano_usd=123_400,
    cost_source="provider",
    status="ok",
    cache="miss",
    first_chunk_ms=312.331,
    duration_ms=1520.771,
    overhead_ms=0.813,
)


class Still:
    """A clock that stands, so that the lines alone are measured."""

    def time(self) -> float:
        return 1_795_000_000.123

    def call_later(self, delay_s: float, callback: object) -> None:
        """What is kept is written when it is much."""


def fact(**facts: Any) -> RequestFinished:
    """A request as most are: a stream that was answered."""
    usual: dict[str, Any] = {
        "request_id": "req_0675fd8a4aa94acc3cd1e26eb8",
        "stream_id": "str_0675fd8a4aa94acc3cd1e26eb8",
        "surface": "rest",
        "key_id": "key_0675fd8a4aa94acc3cd1e26eb8",
        "model": "deepseek/deepseek-flash",
        "provider": "deepseek",
        "upstream_model": "deepseek-flash",
        "stream": True,
        "first_content_ms": 312.331,
        "duration_ms": 1520.771,
        "outcome": Outcome(
            status="ok",
            usage=Usage(input_tokens=120, output_tokens=300),
            cost=Cost(Decimal("0.000123"), "provider"),
        ),
        "attempts": 1,
        "record": RECORD,
        "cache": "miss",
    }
    return RequestFinished(**{**usual, **facts})


def microseconds(one: RequestFinished) -> float:
    """One line."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        log = JsonAccessLog(ObservabilityOptions(log_format="json"), clock=Still(), stream=nowhere, worker=1)  # type: ignore[arg-type]
        return min(timeit.repeat(lambda: log.request_finished(one), number=LINES, repeat=ROUNDS)) / LINES * 1e6


if __name__ == "__main__":
    failed = Outcome(status="error", error=UpstreamTimeout("The provider said nothing for 120 s.", provider="deepseek"))
    print(f"a line: {microseconds(fact()):.2f} µs; of a failure: {microseconds(fact(outcome=failed)):.2f} µs")
