"""A collector that understands OTLP's JSON form, and nothing that the protocol does not have.

The protocol's own classes read each message too; they take more forms than senders are allowed.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.raw_server import read_request, serving

# -- the protocol: opentelemetry-proto 1.7, its messages in their JSON form, as far as the service may use them

TRACE_ID, SPAN_ID, UINT64, INT64 = (re.compile(form) for form in ("[0-9a-f]{32}", "[0-9a-f]{16}", "[0-9]+", "-?[0-9]+"))


def text(value: Any) -> str:
    assert isinstance(value, str)
    return value


def number(value: Any) -> float:
    assert type(value) in (int, float)
    return float(value)


def whole(value: Any) -> int:
    assert type(value) is int
    assert 0 <= value < 2**32
    return value


def flag(value: Any) -> bool:
    assert isinstance(value, bool)
    return value


def formed(form: re.Pattern[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        assert form.fullmatch(text(value)), value
        return value

    return check


def counted(value: Any) -> int:
    return int(formed(UINT64)(value))


def signed(value: Any) -> int:
    found = int(formed(INT64)(value))
    assert -(2**63) <= found < 2**63
    return found


def several(check: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def checked(value: Any) -> list[Any]:
        assert isinstance(value, list)
        return [check(one) for one in value]

    return checked


def message(**fields: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """A message that has these fields and no other."""

    def checked(value: Any) -> dict[str, Any]:
        assert isinstance(value, dict)
        assert value.keys() <= fields.keys(), value
        return {name: fields[name](one) for name, one in value.items()}

    return checked


def any_value(value: Any) -> Any:
    assert isinstance(value, dict)
    assert len(value) == 1, value
    forms: Mapping[str, Callable[[Any], Any]] = {
        "stringValue": text,
        "boolValue": flag,
        "intValue": signed,
        "doubleValue": number,
        "arrayValue": lambda array: message(values=several(any_value))(array)["values"],
    }
    ((form, held),) = value.items()
    return forms[form](held)


def attributes(value: Any) -> dict[str, Any]:
    pairs = several(message(key=text, value=any_value))(value)
    assert len({pair["key"] for pair in pairs}) == len(pairs)
    return {pair["key"]: pair["value"] for pair in pairs}


SCOPE: Final = message(name=text, version=text)
RESOURCE: Final = message(attributes=attributes)
SPAN: Final = message(
    traceId=formed(TRACE_ID),
    spanId=formed(SPAN_ID),
    parentSpanId=formed(SPAN_ID),
    traceState=text,
    flags=whole,
    name=text,
    kind=whole,
    startTimeUnixNano=counted,
    endTimeUnixNano=counted,
    attributes=attributes,
    status=message(code=whole, message=text),
)
_POINT: Final = {"attributes": attributes, "startTimeUnixNano": counted, "timeUnixNano": counted}
_NUMBER: Final = message(**_POINT, asDouble=number)
_BUCKETS: Final = message(
    **_POINT, count=counted, sum=number, bucketCounts=several(counted), explicitBounds=several(number)
)
METRIC: Final = message(
    name=text,
    description=text,
    unit=text,
    sum=message(aggregationTemporality=whole, isMonotonic=flag, dataPoints=several(_NUMBER)),
    gauge=message(dataPoints=several(_NUMBER)),
    histogram=message(aggregationTemporality=whole, dataPoints=several(_BUCKETS)),
)
TRACES: Final = message(
    resourceSpans=several(message(resource=RESOURCE, scopeSpans=several(message(scope=SCOPE, spans=several(SPAN)))))
)
METRICS: Final = message(
    resourceMetrics=several(
        message(resource=RESOURCE, scopeMetrics=several(message(scope=SCOPE, metrics=several(METRIC))))
    )
)


@dataclass(frozen=True)
class Span:
    """A span as it came. Moments in nanoseconds; ``failed``: its status is an error."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    state: str
    flags: int
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]


KINDS: Final = {2: "server", 3: "client"}


def spans_in(body: bytes) -> list[Span]:
    """The spans of a request for ``/v1/traces``. Raises AssertionError for what is no OTLP."""
    spans = []
    Parse(body, ExportTraceServiceRequest())
    for resource in TRACES(orjson.loads(body))["resourceSpans"]:
        assert resource["resource"]["attributes"]["service.name"] == "llm-service"
        for scope in resource["scopeSpans"]:
            spans += [_span(one) for one in scope["spans"]]
    return spans


def _span(told: dict[str, Any]) -> Span:
    return Span(
        name=told["name"],
        kind=KINDS[told["kind"]],
        trace_id=told["traceId"],
        span_id=told["spanId"],
        parent_id=told.get("parentSpanId"),
        state=told.get("traceState", ""),
        flags=told["flags"],
        start=told["startTimeUnixNano"],
        end=told["endTimeUnixNano"],
        failed=told.get("status", {}).get("code") == 2,
        attributes=told["attributes"],
    )


def metrics_in(body: bytes) -> dict[str, dict[str, Any]]:
    """The metrics of a request for ``/v1/metrics`` by name. Raises AssertionError for what is no OTLP."""
    found: dict[str, dict[str, Any]] = {}
    Parse(body, ExportMetricsServiceRequest())
    for resource in METRICS(orjson.loads(body))["resourceMetrics"]:
        for scope in resource["scopeMetrics"]:
            found |= {one["name"]: one for one in scope["metrics"]}
    return found


@dataclass
class Collector:
    """What has come. ``answers``: what is said to the next requests in place of 200; ``silent``: nothing is said."""

    address: str = ""
    spans: list[Span] = field(default_factory=list)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    defects: list[BaseException] = field(default_factory=list)
    answers: deque[tuple[int, bytes]] = field(default_factory=deque)
    silent: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, wanted: Callable[[], bool], *, within_s: float = 10.0) -> None:
        """Wait until what has come is enough. Raises what was wrong with it, and TimeoutError."""
        async with asyncio.timeout(within_s):
            while not wanted():
                self.news.clear()
                await self.news.wait()
                self.check()

    def check(self) -> None:
        """Raises what was wrong with what has come."""
        for defect in self.defects:
            raise defect

    def trace(self) -> tuple[Span, list[Span]]:
        """The one request that has come, and the calls below it, in the order of their beginning."""
        self.check()
        (server,) = [span for span in self.spans if span.kind == "server"]
        calls = [span for span in self.spans if span.kind == "client"]
        assert {(span.trace_id, span.parent_id) for span in calls} <= {(server.trace_id, server.span_id)}
        return server, sorted(calls, key=lambda span: span.start)

    def take(self, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        self.heads.append(head.decode())
        try:
            assert "content-type: application/json" in head.decode().lower()
            path = head.split()[1]
            if path.endswith(b"/v1/traces"):
                self.spans += spans_in(body)
            else:
                assert path.endswith(b"/v1/metrics"), path
                self.metrics |= metrics_in(body)
        except BaseException as defect:  # noqa: BLE001 - raised in the test
            self.defects.append(defect)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port of loopback, until the block ends."""
    collector = Collector()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            status, body = collector.answers.popleft() if collector.answers else (200, b"{}")
            if collector.silent:
                await asyncio.Event().wait()
            if status == 200:
                collector.take(request)
            writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
            await writer.drain()
            collector.news.set()

    async with serving(handle) as address:
        collector.address = address
        yield collector
