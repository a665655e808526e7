"""Spans of a request that has ended: one for itself, and below it one for each call of an upstream."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from llm_service.domain import LLMServiceError, Usage, fact
from llm_service.observability.facts import Attempted, RequestFinished
from llm_service.observability.otlp.encoding import (
    CLIENT,
    ERROR,
    HAS_IS_REMOTE,
    IS_REMOTE,
    SERVER,
    Value,
    attributes,
    nanos,
)
from llm_service.observability.tracing.asked import asked_of
from llm_service.observability.tracing.names import ATTRIBUTES, Semconv, names_of
from llm_service.observability.tracing.trace import Trace
from llm_service.runtime import Clock

OK: Final = 200
SERVERS_FAULT: Final = 500
NO_FAILURE: Final = frozenset(("lost", "aborted"))
"""Ends of attempts that nobody waited for any more."""
ROUTES: Final[Mapping[str, str]] = MappingProxyType(
    {"chat": "/v1/chat/completions", "completion": "/v1/completions", "embedding": "/v1/embeddings"}
)
DOORS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"graphql": ("POST", "/graphql"), "websocket": ("GET", "/v1/ws")}
)
"""Method and route of the doors that have but one."""


class Upstream(NamedTuple):
    """A provider as the conventions name it, and where it is."""

    name: str
    address: str | None = None
    port: int | None = None


@fact
class SpanParts:
    """What spans are made with. ``status_of``: the HTTP status of an error."""

    semconv: Semconv
    upstreams: Mapping[str, Upstream]
    status_of: Callable[[LLMServiceError], int]
    clock: Clock


class Spans:
    """Makes the spans of requests, each in OTLP's JSON form."""

    def __init__(self, parts: SpanParts) -> None:
        self._upstreams = parts.upstreams
        self._status_of = parts.status_of
        self._clock = parts.clock
        self._names = names_of(ATTRIBUTES, parts.semconv)

    def of(self, fact: RequestFinished, trace: Trace) -> list[bytes]:
        """The spans of a request that ends now."""
        shift = self._clock.time() - self._clock.monotonic()  # from monotonic moments to those of the wall clock
        end = fact.received_at + fact.duration_ms / 1000 + shift  # others may have listened since then
        spans = [self._of_request(fact, trace, end)]
        if fact.request is not None and fact.tries:
            asked = self._named(asked_of(fact.request, contents=fact.said is not None))
            said = self._said(fact)
            spans += [
                self._of_attempt(fact, trace, number, asked=asked, said=said, shift=shift, end=end)
                for number in range(len(fact.tries))
            ]
        return spans

    # -- the request

    def _of_request(self, fact: RequestFinished, trace: Trace, end: float) -> bytes:
        method, route = _door_of(fact)
        status = self._status(fact)
        failed = _has_failed(fact, status)
        error, record = fact.outcome.error, fact.record
        facts = self._named(
            {
                "method": method,
                "route": route,
                "path": route or "/",
                "scheme": "http",
                "status_code": status,
                "error_type": error.code if failed and error is not None else None,
                "request_id": fact.request_id,
                "stream_id": fact.stream_id,
                "surface": fact.surface,
                "key_id": fact.key_id,
                "asked_model": fact.model,
                "served_by": fact.provider,
                "status": fact.outcome.status,
                "error_code": None if error is None else error.code,
                "cache": fact.cache,
                "attempts": fact.attempts,
                "cost_usd": None if record is None else record.nano_usd / 1e9,
                "cost_source": None if record is None else record.cost_source,
                "queue_ms": None if record is None else record.queue_ms,
            }
        )
        parent = trace.parent
        return _span(
            {
                "traceId": trace.trace_id,
                "spanId": trace.span_id,
                "parentSpanId": "" if parent is None else parent.parent_id,
                "traceState": trace.state,
                "flags": trace.flags | HAS_IS_REMOTE | (0 if parent is None else IS_REMOTE),
                "name": f"{method} {route}" if route else method,
                "kind": SERVER,
                "startTimeUnixNano": nanos(end - fact.duration_ms / 1000),
                "endTimeUnixNano": nanos(end),
                "attributes": attributes(facts),
            },
            failed=failed,
        )

    def _status(self, fact: RequestFinished) -> int | None:
        """The HTTP status, where one is known: other doors than REST speak of errors in their own words."""
        if fact.surface != "rest" or fact.outcome.status == "aborted":
            return None
        error = fact.outcome.error
        if error is None or (fact.stream and fact.first_content_ms is not None):
            return OK
        return self._status_of(error)

    # -- one call of an upstream

    def _of_attempt(
        self,
        fact: RequestFinished,
        trace: Trace,
        number: int,
        *,
        asked: Mapping[str, Value],
        said: Mapping[str, str],
        shift: float,
        end: float,
    ) -> bytes:
        one = fact.tries[number]
        answered = one.error_code is None
        ended = end if answered or one.ended_at is None else one.ended_at + shift
        error = fact.outcome.error if answered else None
        code = one.error_code if error is None else error.code
        failed = code is not None and code not in NO_FAILURE
        operation = asked[self._names["operation"]]
        facts = {
            **asked,
            **self._named(self._facts_of(fact, number)),
            **({self._names["error_type"]: code} if failed and code is not None else {}),
        }
        return _span(
            {
                "traceId": trace.trace_id,
                "spanId": one.span_id or trace.attempt(),
                "parentSpanId": trace.span_id,
                "traceState": trace.state,
                "flags": trace.flags | HAS_IS_REMOTE,
                "name": f"{operation} {one.candidate.upstream_model}",
                "kind": CLIENT,
                "startTimeUnixNano": nanos(one.begun_at + shift),
                "endTimeUnixNano": nanos(ended),
                "attributes": attributes(facts) + (attributes(said, max_chars=None) if answered else []),
            },
            failed=failed,
        )

    def _facts_of(self, fact: RequestFinished, number: int) -> dict[str, Value | None]:
        one, outcome = fact.tries[number], fact.outcome
        candidate = one.candidate
        upstream = self._upstreams.get(candidate.provider) or Upstream(candidate.provider)
        facts: dict[str, Value | None] = {
            "provider": upstream.name,
            "served_by": candidate.provider,
            "server_address": upstream.address,
            "server_port": upstream.port,
            "request_model": candidate.upstream_model,
            "resend_count": _resent(fact, number) or None,
            "attempt": number + 1 if len(fact.tries) > 1 else None,
            "attempt_outcome": one.error_code if one.error_code in NO_FAILURE else None,
        }
        if one.error_code is not None:
            return facts | _tokens(one.usage)
        return facts | _tokens(outcome.usage) | {
            "response_id": outcome.upstream_id,
            "response_model": outcome.response_model,
            "finish_reasons": None if outcome.finish_reason is None else [outcome.finish_reason],
            "time_to_first_chunk": _first_chunk_s(one) if fact.stream else None,
        }  # fmt: skip

    def _said(self, fact: RequestFinished) -> Mapping[str, str]:
        if fact.said is None or fact.request is None or fact.request.operation == "embedding":
            return {}
        said = {"input_messages": fact.said.prompt, "output_messages": fact.said.answer, "tools": fact.said.tools}
        return {self._names[word]: text for word, text in said.items() if text and word in self._names}

    def _named(self, facts: Mapping[str, Value | None]) -> dict[str, Value]:
        """By the conventions' names, without what is unknown or has none."""
        names = self._names
        return {names[word]: value for word, value in facts.items() if value is not None and word in names}


def _span(span: dict[str, Any], *, failed: bool) -> bytes:
    """A span without its empty fields. Its error is told by its attributes: messages may quote a prompt."""
    if failed:
        span["status"] = {"code": ERROR}
    return orjson.dumps({name: value for name, value in span.items() if value != ""})


def _door_of(fact: RequestFinished) -> tuple[str, str | None]:
    """Method and route; the route of what was refused before it was understood is not known."""
    if (door := DOORS.get(fact.surface)) is not None:
        return door
    return "POST", None if fact.request is None else ROUTES[fact.request.operation]


def _has_failed(fact: RequestFinished, status: int | None) -> bool:
    """Whether it is our failure, or an upstream's: what callers do wrong is none of the server (HTTP conventions)."""
    error = fact.outcome.error
    return error is not None and (error.fault != "caller" if status in (None, OK) else status >= SERVERS_FAULT)


def _resent(fact: RequestFinished, number: int) -> int:
    """How often the same deployment was asked before."""
    candidate = fact.tries[number].candidate
    return sum(one.candidate == candidate for one in fact.tries[:number])


def _tokens(usage: Usage | None) -> dict[str, Value | None]:
    """What the provider told; the parts only where there are some."""
    if usage is None:
        return {}
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens or None,
        "reasoning_tokens": usage.reasoning_tokens or None,
    }


def _first_chunk_s(one: Attempted) -> float | None:
    return None if one.ended_at is None else one.ended_at - one.begun_at
