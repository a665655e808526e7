"""Spans of requests that the end-to-end test does not meet: other doors, lost attempts, other names, other ends."""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from llm_service.domain import (
    Candidate,
    InvalidJson,
    LLMServiceError,
    Outcome,
    Overloaded,
    StreamInterrupted,
    UpstreamError,
    Usage,
    completion_request,
)
from llm_service.observability import Envelope, RequestFinished, Said, SpanListener, SpanParts, Spans, Upstream
from llm_service.observability.otlp.encoding import MAX_TEXT_CHARS
from llm_service.observability.tracing.trace import Ids, Trace
from llm_service.pipeline.base import Try
from tests.support.clock import ManualClock
from tests.support.otlp import Span, spans_in
from tests.unit.observability.otlp.test_figures import attempt, finished

STATUS: Mapping[type[LLMServiceError], int] = MappingProxyType(
    {InvalidJson: 400, Overloaded: 503, UpstreamError: 502, StreamInterrupted: 502}
)
TRACE = Trace(Ids(random.Random(1)), None, "1" * 32, "2" * 16, 3)


def made(fact: RequestFinished, *, semconv: Any = "latest", late_s: float = 0.0) -> Sequence[Span]:
    """The spans, by way of OTLP: that of the request first."""
    clock = ManualClock()
    clock.advance(fact.received_at + fact.duration_ms / 1000 + late_s - clock.monotonic())
    spans = Spans(
        SpanParts(
            semconv=semconv,
            upstreams={"mine": Upstream("openai", "api.example.com", 443)},
            status_of=lambda error: STATUS[type(error)],
            clock=clock,
        )
    )
    return spans_in(Envelope({"service.name": "llm-service"}, scope="s", version="1").traces(spans.of(fact, TRACE)))


@pytest.mark.parametrize("late_s", [0.0, 0.5])
def test_moments_are_those_of_the_wall_clock_however_late_spans_are_made(late_s: float) -> None:
    request, call = made(finished(attempt(began=0.25, ended=0.5)), late_s=late_s)
    assert (request.end - request.start) / 1e9 == pytest.approx(2.5)
    assert (call.start - request.start) / 1e9 == pytest.approx(0.25)
    assert call.end == request.end
    assert call.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.25)


@pytest.mark.parametrize(("surface", "name"), [("graphql", "POST /graphql"), ("websocket", "GET /v1/ws")])
def test_other_doors_have_one_route_and_no_status_of_their_own(surface: str, name: str) -> None:
    request, _ = made(finished(attempt(), surface=surface))
    assert request.name == name
    assert "http.response.status_code" not in request.attributes


@pytest.mark.parametrize(
    ("error", "facts", "status", "failed"),
    [
        (InvalidJson("x"), {"first_content_ms": None}, 400, False),
        (Overloaded("x"), {"first_content_ms": None}, 503, True),
        (StreamInterrupted("x", provider="mine"), {}, 200, True),  # its head had gone out
        (UpstreamError("x", provider="mine"), {"stream": False}, 502, True),
        (UpstreamError("x", provider="mine"), {"surface": "graphql"}, None, True),
        (InvalidJson("x"), {"surface": "websocket"}, None, False),
    ],
)
def test_a_failure_is_the_servers_unless_the_caller_is_to_blame(
    error: LLMServiceError, facts: dict[str, Any], status: int | None, *, failed: bool
) -> None:
    (request,) = made(finished(outcome=Outcome(status="error", error=error), **facts))
    assert request.attributes.get("http.response.status_code") == status
    assert request.failed is failed
    assert request.attributes.get("error.type") == (error.code if failed else None)
    assert request.attributes["llm_service.error_code"] == error.code


def test_a_client_that_left_is_no_failure() -> None:
    request, call = made(finished(attempt(), outcome=Outcome(status="aborted")))
    assert (request.failed, call.failed) == (False, False)
    assert "http.response.status_code" not in request.attributes
    assert request.attributes["llm_service.status"] == "aborted"


def test_an_attempt_that_lost_is_no_failure() -> None:
    _, lost, won = made(finished(attempt(ended=1.0, code="lost"), attempt("n", began=0.5, ended=0.8)))
    assert (lost.failed, lost.attributes["llm_service.attempt.outcome"]) == (False, "lost")
    assert (lost.attributes["llm_service.attempt"], won.attributes["llm_service.attempt"]) == (1, 2)
    assert "gen_ai.response.model" not in lost.attributes
    assert won.attributes["gen_ai.response.model"] == "m-1"


def test_a_failed_attempt_tells_what_it_bills_all_the_same() -> None:
    failed = attempt(code="upstream_error")
    failed.usage = Usage(input_tokens=7, output_tokens=0)
    _, first, _ = made(finished(failed, attempt("n")))
    assert first.attributes["gen_ai.usage.input_tokens"] == 7


def test_the_parts_of_tokens_are_told_where_there_are_some() -> None:
    usage = Usage(input_tokens=9, output_tokens=8, cached_input_tokens=3, reasoning_tokens=2)
    _, call = made(finished(attempt(), outcome=Outcome(status="ok", usage=usage)))
    told = {name: value for name, value in call.attributes.items() if name.startswith("gen_ai.usage.")}
    assert told == {
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 8,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }


def test_a_provider_that_has_gone_from_the_settings_keeps_its_name() -> None:
    one = Try(Candidate(provider="gone", upstream_model="m"), 100.0)
    _, call = made(finished(one))
    assert call.attributes["gen_ai.provider.name"] == "gone"
    assert "server.address" not in call.attributes


def test_the_stable_names_leave_out_what_they_do_not_know() -> None:
    _, call = made(finished(attempt(), said=SAID), semconv="stable")
    assert call.attributes["gen_ai.system"] == "openai"
    assert not {"gen_ai.provider.name", "gen_ai.request.stream", "gen_ai.input.messages"} & set(call.attributes)


HUGE: Mapping[str, Any] = MappingProxyType(
    {"seed": 2**70, "temperature": 10**400, "top_k": "many", "n": 1, "stop": ["a", 1, "b"], "service_tier": "x" * 5000}
)


def test_what_does_not_fit_is_left_out_or_cut() -> None:
    body = {"model": "m", "prompt": ["a", "b"], **HUGE}
    request = completion_request({"model": "m", "prompt": ["a", "b"]})
    request.body = body  # type: ignore[misc] - past what a door lets through
    _, call = made(finished(attempt(), request=request, said=SAID))
    assert call.name == "text_completion m"
    assert call.attributes["gen_ai.request.stop_sequences"] == ["a", "b"]
    assert len(call.attributes["openai.request.service_tier"]) == MAX_TEXT_CHARS
    assert not {"seed", "temperature", "top_k", "choice.count"} & {
        name.removeprefix("gen_ai.request.") for name in call.attributes
    }


SAID = Said(prompt='[{"role":"user","parts":[]}]', answer='[{"role":"assistant","parts":[]}]', tools="[]")


def test_what_was_said_is_told_of_the_call_that_answered_and_not_cut_again() -> None:
    long = Said(prompt=f'["{"x" * 2 * MAX_TEXT_CHARS}"]', answer="")
    failed = attempt(code="upstream_error")
    _, first, second = made(finished(failed, attempt(), said=SAID))
    assert "gen_ai.input.messages" not in first.attributes
    assert second.attributes["gen_ai.input.messages"] == SAID.prompt
    assert second.attributes["gen_ai.output.messages"] == SAID.answer
    assert second.attributes["gen_ai.tool.definitions"] == SAID.tools
    _, call = made(finished(attempt(), said=long))
    assert call.attributes["gen_ai.input.messages"] == long.prompt
    assert not {"gen_ai.output.messages", "gen_ai.tool.definitions"} & set(call.attributes)


def test_a_defect_is_reported_and_costs_nothing_else() -> None:
    class Broken:
        def of(self, fact: RequestFinished, trace: Trace) -> list[bytes]:
            raise ValueError("cannot be written")

    sent: list[object] = []
    defects: list[BaseException] = []
    listener = SpanListener(Broken(), sent.append, lambda _, defect: defects.append(defect))  # type: ignore[arg-type]
    listener.request_finished(finished(trace=TRACE))
    listener.request_finished(finished())
    assert [str(defect) for defect in defects] == ["cannot be written"]
    assert sent == []
