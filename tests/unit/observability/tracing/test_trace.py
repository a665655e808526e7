"""Who begins a trace, who records it, and what upstreams are told."""

import random

import pytest

from llm_service.observability.tracing.trace import Tracer

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def tracer(*, ratio: float = 0.0, records: bool = True, propagates: bool = False) -> Tracer:
    return Tracer(ratio=ratio, records=records, propagates=propagates, dice=random.Random(1))


def header(flags: str = "01") -> str:
    return f"00-{TRACE}-{PARENT}-{flags}"


@pytest.mark.parametrize(("flags", "ratio", "recorded"), [("01", 0.0, True), ("00", 1.0, False), ("03", 0.0, True)])
def test_the_parents_decision_counts(flags: str, ratio: float, *, recorded: bool) -> None:
    mine = tracer(ratio=ratio)
    assert (mine.recorded(mine.begin(header(flags), None)) is not None) is recorded


def test_without_a_parent_a_share_is_recorded_and_decided_at_the_end() -> None:
    mine = tracer(ratio=0.25)
    assert mine.begin(None, None) is None
    assert mine.begin("nonsense", "a=1") is None
    recorded = [trace for _ in range(4000) if (trace := mine.recorded(None)) is not None]
    assert 900 < len(recorded) < 1100
    assert len({trace.trace_id for trace in recorded}) == len(recorded)
    assert {trace.flags for trace in recorded} == {3}


def test_where_upstreams_are_told_it_is_decided_before() -> None:
    mine = tracer(ratio=0.5, propagates=True)
    traces = [mine.begin(None, None) for _ in range(100)]
    for trace in traces:
        assert trace is not None
        assert mine.recorded(trace) is (trace if trace.sampled else None)
        span_id = trace.attempt()
        assert trace.headers(span_id) == {"traceparent": f"00-{trace.trace_id}-{span_id}-{trace.flags:02x}"}
    assert {trace.flags for trace in traces if trace is not None} == {2, 3}


def test_each_attempt_has_a_parent_id_of_its_own() -> None:
    trace = tracer().begin(header(), "a=1")
    assert trace is not None
    ids = {trace.attempt() for _ in range(100)} | {trace.span_id, PARENT}
    assert len(ids) == 102
    assert trace.headers("00f067aa0ba902b7")["tracestate"] == "a=1"
    assert trace.trace_id == TRACE


def test_what_is_not_recorded_is_passed_on_as_it_came() -> None:
    trace = tracer(records=False, propagates=True).begin(header(), "a=1")
    assert trace is not None
    assert trace.headers(trace.attempt()) == {"traceparent": header(), "tracestate": "a=1"}


def test_where_nothing_is_recorded_no_trace_is_made_up_at_the_end() -> None:
    mine = tracer(ratio=1.0, records=False, propagates=True)
    assert mine.recorded(mine.begin(None, None)) is None
    theirs = mine.recorded(mine.begin(header(), None))
    assert theirs is not None
    assert theirs.trace_id == TRACE
