"""Holds what it costs to count a request: the listener's own work, and a single figure."""

import gc
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from llm_service.domain import Candidate, Claim, Lease, Limit, Outcome, Usage, UsageRecord
from llm_service.observability import Arena, Meters, RequestFinished, RequestMeter
from llm_service.observability.metrics.catalog import CACHE_MISSES

CALLS = 1_000
REPEATS = 20
TRIES = 20
STAGES = "observe shed resolve check remember replay rank admit share account call upstream".split()


class Answered:
    """A call of an upstream that answered."""

    def __init__(self) -> None:
        self.candidate = Candidate(provider="openrouter", upstream_model="careful")
        self.error_code: str | None = None
        self.begun_at = 0.0
        self.ended_at: float | None = 0.312
        self.usage: Usage | None = None
        self.span_id = ""
        self.is_fault = False


def record() -> UsageRecord:
    return UsageRecord(
        request_id="req_1",
        stream_id="str_1",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        key_id="key_1",
        user=None,
        tags={},
        surface="rest",
        model="openrouter/careful",
        provider="openrouter",
        upstream_model="careful",
        upstream_id=None,
        input_tokens=1000,
        output_tokens=200,
        cached_input_tokens=100,
        reasoning_tokens=50,
        nano_usd=123_456,
        cost_source="provider",
        status="ok",
    )


def finished() -> RequestFinished:
    """A streamed request of the usual kind: one call that answered, under four limits."""
    limits = [
        Limit(key=scope + kind, scope=scope, subject="", kind=kind, amount=1)
        for scope in ("global", "key")
        for kind in ("requests", "money")
    ]
    lease = Lease("req_1", callers=[Claim(limit, 1) for limit in limits], candidate=0, provider=(), second=0)
    return RequestFinished(
        request_id="req_1",
        stream_id="str_1",
        surface="rest",
        key_id="key_1",
        model="openrouter/careful",
        provider="openrouter",
        upstream_model="careful",
        stream=True,
        first_content_ms=312.0,
        duration_ms=4200.0,
        outcome=Outcome(status="ok"),
        attempts=1,
        cache="miss",
        record=record(),
        tries=[Answered()],
        lease=lease,
        received_at=0.0,
        marks=[0.00003 * (place + 1) for place in range(len(STAGES))],
        head_at=0.312,
    )


def least_us(call: Callable[[], object], limit_us: float) -> float:
    """The least of many passes: neighbours on the machine only ever add. A busy one gets more tries."""
    best_us = math.inf
    for _ in range(TRIES):
        for _ in range(REPEATS):
            begun = time.perf_counter()
            for _ in range(CALLS):
                call()
            best_us = min(best_us, (time.perf_counter() - begun) / CALLS * 1e6)
        if best_us <= limit_us:
            break
    return best_us


def main() -> int:
    gc.disable()
    cells = Arena.alone().enter()
    if cells is None:
        raise MemoryError("there is no slot")
    meters = Meters(cells)
    meter = RequestMeter(meters, knows=lambda model: True, per_key=False, time=time.time)
    meter.name_stages(STAGES)
    fact, misses = finished(), meters.counter(CACHE_MISSES)
    beyond = 0
    for name, call, limit_us in (
        ("count a request", lambda: meter.request_finished(fact), 8.0),
        ("count one figure", misses.add, 0.4),
    ):
        best_us = least_us(call, limit_us)
        beyond += best_us > limit_us
        print(f"{name}: {best_us:.2f} µs, {'within' if best_us <= limit_us else 'beyond'} the limit of {limit_us} µs")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
