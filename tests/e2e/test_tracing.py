"""Traces: what a collector gets of requests through the whole service, checked against the conventions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.observability import MetricsSource, ObservabilityOptions
from llm_service.observability.metrics import Family, Snapshot
from llm_service.observability.metrics.catalog import IN_FLIGHT
from llm_service.providers import ProviderOptions
from llm_service.routing import BreakerOptions, DeploymentOptions, ModelOptions, RoutingOptions
from llm_service.sandbox import Sandbox
from tests.support.otlp import Collector, Span, collecting
from tests.support.process import place, serving
from tests.support.raw_server import read_request
from tests.support.raw_server import serving as serving_raw
from tests.support.rest import Answer, ask, chat_body
from tests.support.service import Running, running, simulated

CHAT: Final = "/v1/chat/completions"
HASTY: Final = RoutingOptions(
    backoff_s=0.001, backoff_max_s=0.001, breaker=BreakerOptions(failures=10_000, min_requests=100_000)
)
TRACE_ID: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID: Final = "b7ad6b7169203331"
PARENT: Final = f"00-{TRACE_ID}-{PARENT_ID}-01"

# What the conventions have: attributes by name and type. Generative AI: semantic conventions 1.44, section 1 of its
# registry; HTTP, server, error: stable.
TYPES: Final = {
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.request.model": str,
    "gen_ai.response.model": str,
    "gen_ai.response.id": str,
    "gen_ai.response.finish_reasons": list,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.request.stream": bool,
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.temperature": float,
    "gen_ai.request.top_p": float,
    "gen_ai.request.top_k": float,
    "gen_ai.request.seed": int,
    "gen_ai.request.stop_sequences": list,
    "gen_ai.request.frequency_penalty": float,
    "gen_ai.request.presence_penalty": float,
    "gen_ai.request.choice.count": int,
    "gen_ai.request.encoding_formats": list,
    "gen_ai.embeddings.dimension.count": int,
    "gen_ai.output.type": str,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    "gen_ai.input.messages": str,
    "gen_ai.output.messages": str,
    "gen_ai.tool.definitions": str,
    "openai.api.type": str,
    "openai.request.service_tier": str,
    "http.request.method": str,
    "http.route": str,
    "http.response.status_code": int,
    "http.request.resend_count": int,
    "url.path": str,
    "url.scheme": str,
    "server.address": str,
    "server.port": int,
    "error.type": str,
}
REQUIRED: Final = {
    "server": {"http.request.method", "url.path", "url.scheme"},
    "client": {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address"},
}
CONTENT: Final = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"}


def check(span: Span, *, content: bool = False) -> None:
    """A span has what the conventions require, and nothing that they do not know, but what is named as ours."""
    told = {name: value for name, value in span.attributes.items() if not name.startswith("llm_service.")}
    assert set(told) <= set(TYPES), set(told) - set(TYPES)
    assert {name: type(value) for name, value in told.items()} == {name: TYPES[name] for name in told}
    assert REQUIRED[span.kind] <= set(told)
    assert content or not CONTENT & set(told)
    assert span.start <= span.end
    assert span.failed == ("error.type" in told)
    if span.kind == "client":
        assert span.name == f"{told['gen_ai.operation.name']} {told['gen_ai.request.model']}"
    elif "http.route" in told:
        assert span.name == f"{told['http.request.method']} {told['http.route']}"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


@asynccontextmanager
async def traced(
    sandbox: Sandbox,
    collector: Collector,
    *,
    settings: Settings | None = None,
    cached: bool = False,
    figures: MetricsSource | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """A service that records every request; what it has is sent at the latest when the block ends."""
    told = {"trace_sample_ratio": 1.0, "otlp_interval_s": 0.1, **options}
    settings = settings or Settings(providers=simulated(sandbox.address))
    settings = replace(
        settings,
        observability=ObservabilityOptions(otlp_endpoint=collector.address, **told),
        routing=replace(HASTY) if settings.routing == RoutingOptions() else settings.routing,
    )
    async with running(settings, resilient=True, cached=cached, figures=figures) as service:
        yield service
    collector.check()


async def test_a_whole_answer_is_a_request_and_the_call_that_it_took(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector) as service:
        answer = await ask(
            service.address, "POST", CHAT,
            chat_body("openrouter/sandbox/chat", temperature=0.5, max_tokens=50, stop=["END"], seed=7, n=1),
        )  # fmt: skip
    server, (call,) = collector.trace()
    for span in (server, call):
        check(span)
    assert (server.name, server.failed, server.parent_id) == (f"POST {CHAT}", False, None)
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["llm_service.request_id"] == answer.headers["x-request-id"]
    assert server.attributes["llm_service.cost_usd"] == pytest.approx(float(answer.headers["x-llm-cost-usd"]))
    assert call.name == "chat sandbox/chat"
    told = answer.json()
    assert {name: call.attributes[name] for name in call.attributes if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": "sandbox/chat",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.seed": 7,
        "gen_ai.response.id": told["id"],
        "gen_ai.response.model": told["model"],
        "gen_ai.response.finish_reasons": [told["choices"][0]["finish_reason"]],
        "gen_ai.usage.input_tokens": told["usage"]["prompt_tokens"],
        "gen_ai.usage.output_tokens": told["usage"]["completion_tokens"],
    }
    assert server.start <= call.start <= call.end <= server.end


async def test_a_stream_tells_its_first_chunk_and_its_usage(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector) as service:
        await ask(service.address, "POST", CHAT, chat_body("deepseek/sandbox/chat", stream=True))
    server, (call,) = collector.trace()
    for span in (server, call):
        check(span)
    assert call.attributes["gen_ai.request.stream"] is True
    assert 0 < call.attributes["gen_ai.response.time_to_first_chunk"] <= (call.end - call.start) / 1e9
    assert call.attributes["gen_ai.usage.output_tokens"] > 0
    assert call.attributes["gen_ai.provider.name"] == "deepseek"
    assert server.attributes["llm_service.stream_id"].startswith("str_")


async def test_a_failure_is_an_error_of_both_where_it_is_the_upstreams(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector) as service:
        answer = await ask(service.address, "POST", CHAT, chat_body("openrouter/sandbox/error-402"))
    server, (call,) = collector.trace()
    for span in (server, call):
        check(span)
    code = answer.json()["error"]["code"]
    assert (server.failed, server.attributes["error.type"]) == (True, code)
    assert server.attributes["http.response.status_code"] == answer.status
    assert (call.failed, call.attributes["error.type"]) == (True, code)


async def test_what_a_caller_does_wrong_is_no_error_of_the_server(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector) as service:
        await ask(service.address, "POST", CHAT, b"{")
    server, calls = collector.trace()
    check(server)
    assert (server.name, server.failed, calls) == ("POST", False, [])
    assert server.attributes["http.response.status_code"] == 400
    assert server.attributes["llm_service.error_code"] == "invalid_json"


async def test_attempts_stand_side_by_side_with_what_failed_them(sandbox: Sandbox, collector: Collector) -> None:
    """One deployment is asked twice, then another one answers."""
    deployments = [
        DeploymentOptions(provider="openrouter", model="sandbox/error-500"),
        DeploymentOptions(provider="deepseek", model="sandbox/chat"),
    ]
    settings = Settings(
        providers=simulated(sandbox.address),
        models={"fast": ModelOptions(deployments=(deployments[0],), fallbacks=("sure",)),
                "sure": ModelOptions(deployments=(deployments[1],))},
        routing=replace(HASTY, retry_budget_min=10),
    )  # fmt: skip
    async with traced(sandbox, collector, settings=settings) as service:
        answer = await ask(service.address, "POST", CHAT, chat_body("fast"))
        assert answer.status == 200
    server, calls = collector.trace()
    for span in (server, *calls):
        check(span)
    assert server.attributes["llm_service.attempts"] == len(calls) >= 3
    *failed, last = calls
    assert [span.attributes.get("http.request.resend_count", 0) for span in failed] == list(range(len(failed)))
    assert {span.attributes["error.type"] for span in failed} == {"upstream_error"}
    assert "http.request.resend_count" not in last.attributes
    assert (last.name, last.failed) == ("chat sandbox/chat", False)
    assert len({span.span_id for span in calls}) == len(calls)


async def test_a_kept_answer_calls_nobody(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector, cached=True) as service:
        for _ in range(2):
            answer = await ask(service.address, "POST", CHAT, chat_body("openrouter/sandbox/chat"))
        assert answer.headers["x-llm-cache"] == "hit"
    hit, miss = sorted((span for span in collector.spans if span.kind == "server"), key=lambda span: -span.start)
    check(hit)
    assert (hit.attributes["llm_service.cache"], miss.attributes["llm_service.cache"]) == ("hit", "miss")
    assert [span.parent_id for span in collector.spans if span.kind == "client"] == [miss.span_id]


async def test_embeddings_have_their_own_words(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector) as service:
        body = {"model": "plain/sandbox/embedding", "input": "a", "encoding_format": "float", "dimensions": 8}
        answer = await ask(service.address, "POST", "/v1/embeddings", orjson.dumps(body))
        assert answer.status == 200, answer.body
    server, (call,) = collector.trace()
    for span in (server, call):
        check(span)
    assert (server.name, call.name) == ("POST /v1/embeddings", "embeddings sandbox/embedding")
    assert call.attributes["gen_ai.request.encoding_formats"] == ["float"]
    assert call.attributes["gen_ai.embeddings.dimension.count"] == 8


async def test_contents_are_sent_where_that_is_asked_for_alone(sandbox: Sandbox, collector: Collector) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    async with traced(sandbox, collector, log_content=True) as service:
        for stream in (False, True):
            await ask(service.address, "POST", CHAT, chat_body("openrouter/sandbox/chat", tools=tools, stream=stream))
    for call in (span for span in collector.spans if span.kind == "client"):
        check(call, content=True)
        said = {name: orjson.loads(call.attributes[name]) for name in CONTENT}
        assert said["gen_ai.tool.definitions"] == tools
        ((question,), (answer,)) = said["gen_ai.input.messages"], said["gen_ai.output.messages"]
        assert question["parts"] == [{"type": "text", "content": "What is the capital of France?"}]
        assert (question["role"], answer["role"], answer["finish_reason"]) == ("user", "assistant", "stop")
        assert answer["parts"][-1]["type"] == "text"
        assert answer["parts"][-1]["content"]


async def test_a_caller_is_the_parent_and_decides(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector, trace_sample_ratio=0.0) as service:
        body = chat_body("openrouter/sandbox/chat")
        for headers in (
            {"traceparent": PARENT, "tracestate": "a=1,b=2"},
            {"traceparent": f"{PARENT[:-2]}00"},
            {"traceparent": PARENT.upper()},
            {},
        ):
            await ask(service.address, "POST", CHAT, body, **headers)
    server, (call,) = collector.trace()
    assert (server.trace_id, server.parent_id, server.state) == (TRACE_ID, PARENT_ID, "a=1,b=2")
    assert (server.flags, call.flags) == (0x301, 0x101)


async def test_two_parents_are_none(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector) as service:
        other = PARENT.replace("b7", "c7")
        await ask(
            service.address,
            "POST",
            CHAT,
            chat_body("openrouter/sandbox/chat"),
            traceparent=f"{PARENT}\r\ntraceparent: {other}",
        )
    server, _ = collector.trace()
    assert server.parent_id is None
    assert server.trace_id != TRACE_ID


async def test_other_doors_say_it_in_their_options(sandbox: Sandbox, collector: Collector) -> None:
    query = "mutation($input: ChatInput!) { chat(input: $input) { id } }"
    given = {"model": "openrouter/sandbox/chat", "messages": [{"role": "USER", "content": "x"}]}
    said = {**given, "options": {"traceparent": PARENT}}
    async with traced(sandbox, collector, trace_sample_ratio=0.0) as service:
        for variables, headers in (
            ({"input": said}, {}),
            ({"input": given}, {"traceparent": PARENT}),
            ({"input": said}, {"traceparent": PARENT.replace("b7", "c7")}),
            ({"input": given}, {}),
        ):
            body = orjson.dumps({"query": query, "variables": variables})
            answer = await ask(service.address, "POST", "/graphql", body, **headers)
            assert "errors" not in answer.json()
    servers = [span for span in collector.spans if span.kind == "server"]
    assert [(span.name, span.parent_id) for span in servers] == [("POST /graphql", PARENT_ID)] * 3


# -- upstreams

WHOLE: Final = orjson.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
)


async def asked_over(upstream_options: dict[str, Any], observability: ObservabilityOptions, **headers: str) -> str:
    """The head of the request that an upstream gets."""
    heads: list[str] = []

    async def handle(reader: Any, writer: Any) -> None:
        while True:
            heads.append((await read_request(reader)).partition(b"\r\n\r\n")[0].decode())
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(WHOLE), WHOLE)
            )

    async with serving_raw(handle) as upstream:
        options = ProviderOptions(
            kind="openai_compatible", base_url=f"{upstream}/v1", api_key=Secret("k"), **upstream_options
        )
        settings = Settings(providers={"own": options}, observability=observability)
        async with running(settings) as service:
            answer: Answer = await ask(service.address, "POST", CHAT, chat_body("own/m"), **headers)
            assert answer.status == 200, answer.body
    (head,) = [head for head in heads if head.startswith("POST")]
    return head.lower()


def parent_in(head: str) -> str | None:
    return next((line.split(": ")[1] for line in head.split("\r\n") if line.startswith("traceparent:")), None)


async def test_an_upstream_is_told_of_the_trace_where_that_is_wanted(collector: Collector) -> None:
    options = ObservabilityOptions(otlp_endpoint=collector.address, trace_sample_ratio=0.0)
    head = await asked_over({"propagate_trace": True}, options, traceparent=PARENT, tracestate="a=1")
    _, (call,) = collector.trace()
    assert parent_in(head) == f"00-{TRACE_ID}-{call.span_id}-01"
    assert "tracestate: a=1" in head


async def test_an_upstream_learns_nothing_by_default(collector: Collector) -> None:
    options = ObservabilityOptions(otlp_endpoint=collector.address)
    head = await asked_over({}, options, traceparent=PARENT, tracestate="a=1", baggage="b=1")
    assert not any(name in head for name in ("traceparent", "tracestate", "baggage"))


async def test_a_trace_that_begins_here_is_told_too(collector: Collector) -> None:
    options = ObservabilityOptions(otlp_endpoint=collector.address, trace_sample_ratio=1.0)
    head = await asked_over({"propagate_trace": True}, options)
    server, (call,) = collector.trace()
    assert parent_in(head) == f"00-{server.trace_id}-{call.span_id}-03"


async def test_without_a_collector_the_callers_own_context_is_passed_on() -> None:
    head = await asked_over({"propagate_trace": True}, ObservabilityOptions(), traceparent=PARENT)
    assert parent_in(head) == PARENT
    assert parent_in(await asked_over({"propagate_trace": True}, ObservabilityOptions())) is None


# -- metrics and a process


class Counted:
    """The service's own figures, as far as a test wants some."""

    async def read(self) -> Snapshot:
        return Snapshot(at=1_800_000_000.0, families={IN_FLIGHT.name: Family(IN_FLIGHT, {(): 3.0}, {})})


async def test_metrics_go_out_until_other_settings_hold(sandbox: Sandbox, collector: Collector) -> None:
    async with traced(sandbox, collector, figures=Counted()) as service:
        await ask(service.address, "POST", CHAT, chat_body("openrouter/sandbox/chat"))
        await collector.until(lambda: "gen_ai.client.token.usage" in collector.metrics)
        ((point,),) = [one["gauge"]["dataPoints"] for one in (collector.metrics["llm_requests_in_flight"],)]
        assert point["asDouble"] == 3.0
        service.service.serving.retire()
        collector.metrics.clear()
        for number in range(3, 6):  # a sending of metrics would come before each of these
            await ask(service.address, "POST", CHAT, chat_body("openrouter/sandbox/chat"))
            await collector.until(lambda wanted=number: len(collector.spans) >= 2 * (wanted - 1))
        assert collector.metrics == {}


async def test_a_collector_that_is_away_costs_no_request(sandbox: Sandbox, collector: Collector) -> None:
    collector.answers.extend([(503, b"")] * 3)
    async with traced(sandbox, collector) as service:
        assert (await ask(service.address, "POST", CHAT, chat_body("openrouter/sandbox/chat"))).status == 200
        await collector.until(lambda: bool(collector.spans and collector.metrics))
        said = {(line["event"], line["path"]) for line in service.log.lines if "telemetry" in str(line["event"])}
    assert {event for event, _ in said} == {"telemetry is not sent", "telemetry is sent again"}
    collector.trace()


async def test_a_process_sends_its_last_spans_and_figures_when_it_ends(tmp_path: Path, collector: Collector) -> None:
    where = place(
        tmp_path,
        LLM_SERVICE_OBSERVABILITY__OTLP_ENDPOINT=collector.address,
        LLM_SERVICE_OBSERVABILITY__OTLP_HEADERS='{"x-tenant": "a"}',
        LLM_SERVICE_OBSERVABILITY__OTLP_INTERVAL_S="3600",
        LLM_SERVICE_OBSERVABILITY__TRACE_SAMPLE_RATIO="1",
    )
    with serving(where) as service:
        answer = await ask(service.address, "POST", CHAT, chat_body("openai/sandbox/chat"))
        assert answer.status == 200
        service.child.signal(15)
        await collector.until(lambda: bool(collector.spans and collector.metrics))
        service.child.stop()
    server, (call,) = collector.trace()
    for span in (server, call):
        check(span)
    assert all("x-tenant: a" in head.lower() for head in collector.heads)
    (point,) = collector.metrics["gen_ai.client.operation.duration"]["histogram"]["dataPoints"]
    assert point["count"] == 1
