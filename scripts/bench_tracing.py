"""What tracing costs a request in CPU time: one that is not recorded, one that is, and the conventions' metrics.

python scripts/bench_tracing.py
"""

import random
import time
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from llm_service.domain import Candidate, Outcome, Usage, chat_request
from llm_service.observability import GenAiFigures, RequestFinished, SpanParts, Spans, Tracer, Upstream
from llm_service.pipeline.base import Try
from llm_service.runtime import SystemClock

ROUNDS = 5
TIMES = 5000
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UPSTREAMS = MappingProxyType({"openrouter": Upstream("openrouter", "openrouter.ai", 443)})


def a_fact() -> RequestFinished:
    """A stream that one call answered."""
    one = Try(Candidate(provider="openrouter", upstream_model="openai/gpt-4o-mini"), 100.0)
    one.ended_at = 100.5
    body: dict[str, Any] = {"model": "fast", "messages": [{"role": "user", "content": "x"}], "stream": True}
    usage = Usage(input_tokens=20, output_tokens=5)
    return RequestFinished(
        request_id="req_00000000000000000000000001", stream_id="str_00000000000000000000000001", surface="rest",
        key_id="key_1", model="fast", provider="openrouter", upstream_model="openai/gpt-4o-mini", stream=True,
        first_content_ms=500.0, duration_ms=2500.0, received_at=100.0, tries=[one], attempts=1, cache="miss",
        request=chat_request({**body, "temperature": 0.5, "max_tokens": 100}),
        outcome=Outcome(status="ok", usage=usage, finish_reason="stop", upstream_id="gen-1", response_model="m"),
    )  # fmt: skip


def cpu_us(work: Callable[[], object]) -> float:
    """The least of several rounds, in microseconds a call."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(TIMES):
            work()
        best = min(best, (time.process_time() - begun) / TIMES)
    return best * 1e6


def main() -> None:
    """Measure and print."""
    fact, clock = a_fact(), SystemClock()
    tracer = Tracer(ratio=0.0, records=True, propagates=False, dice=random.Random(1))  # noqa: S311
    spans = Spans(SpanParts(semconv="latest", upstreams=UPSTREAMS, status_of=lambda _: 500, clock=clock))
    figures = GenAiFigures("latest", UPSTREAMS, clock)
    parent = tracer.begin(PARENT, None)
    if parent is None:
        raise ValueError("a valid parent")
    for name, work in (
        ("no header, not recorded", lambda: (tracer.begin(None, None), tracer.recorded(None))),
        ("header, read", lambda: tracer.begin(PARENT, None)),
        ("both spans", lambda: spans.of(fact, parent)),
        ("metrics of the conventions", lambda: figures.request_finished(fact)),
    ):
        print(f"{name:30} {cpu_us(work):8.2f} µs")


if __name__ == "__main__":
    main()
