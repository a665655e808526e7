"""What the contract says of errors, and whether a response keeps to it."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tests.support.rest import Answer, events_of

CODES: Mapping[int, Mapping[str, str]] = {
    400: {
        "invalid_request_error": "invalid_json invalid_value missing_required_parameter context_length_exceeded "
        "content_filtered"
    },
    401: {"authentication_error": "invalid_api_key"},
    403: {"permission_error": "model_not_allowed scope_missing not_local"},
    404: {"invalid_request_error": "model_not_found not_found"},
    405: {"invalid_request_error": "method_not_allowed"},
    413: {"invalid_request_error": "request_too_large"},
    422: {"invalid_request_error": "idempotency_key_reused"},
    429: {
        "rate_limit_error": "rate_limit_exceeded concurrency_limit_exceeded upstream_rate_limited",
        "insufficient_quota": "budget_exceeded price_unknown",
    },
    502: {"upstream_error": "upstream_error upstream_auth_failed upstream_invalid_response"},
    503: {
        "service_unavailable": "overloaded draining provider_disabled no_deployment_available ledger_unavailable "
        "issuer_unavailable upstream_no_balance"
    },
    504: {"timeout": "upstream_timeout deadline_exceeded only_if_cached_miss"},
}
GRAPHQL = {("invalid_request_error", code) for code in ("invalid_document", "document_too_complex")}
IN_STREAMS: Mapping[str, str] = {
    "upstream_error": "stream_interrupted",
    "service_unavailable": "stream_cancelled key_revoked",
}


def mistakes_of_graphql(told: Any, *, status: int) -> Iterator[str]:
    """Where a refusal of GraphQL differs from the contract: errors, each with what REST says, as its extensions."""
    errors = told.get("errors") if isinstance(told, dict) else None
    if not isinstance(errors, list) or not errors:
        yield f"no errors: {str(told)[:200]!r}"
        return
    for error in errors:
        said = error.get("extensions", {})
        if not {"code", "type", "param", "requestId", "retryable", "provider"} <= set(said):
            yield f"extensions have code, type, param, requestId, retryable and provider, not {sorted(said)}"
        if not isinstance(error.get("message"), str) or not error["message"]:
            yield "no message"
        if (said.get("type"), said.get("code")) not in pairs(status) | GRAPHQL:
            yield f"status {status} with type {said.get('type')!r} and code {said.get('code')!r}"


def mistakes_of_error(error: Any, *, status: int | None) -> Iterator[str]:
    """Where an error body differs from the contract. ``status``: None for one that comes in a stream."""
    if not isinstance(error, dict) or not isinstance(error.get("error"), dict):
        yield f"no error body: {str(error)[:200]!r}"
        return
    told = error["error"]
    if set(told) != {"message", "type", "param", "code"}:
        yield f"an error has message, type, param and code, not {sorted(told)}"
    if not {"request_id", "provider", "retryable"} <= set(error):
        yield f"request_id, provider or retryable is missing: {sorted(error)}"
    if not isinstance(told.get("message"), str) or not told["message"]:
        yield "no message"
    if (told.get("type"), told.get("code")) not in pairs(status):
        yield f"status {status} with type {told.get('type')!r} and code {told.get('code')!r}"


def pairs(status: int | None) -> set[tuple[str, str]]:
    """Types and codes that go with a status; any in a stream."""
    rows = [CODES.get(status, {})] if status is not None else [*CODES.values(), IN_STREAMS]
    return {(kind, code) for row in rows for kind, codes in row.items() for code in codes.split()}


def mistakes_of_whole(answer: Answer) -> Iterator[str]:
    """A whole answer: choices that are finished, embeddings, or an error."""
    told = loaded(answer.body)
    if answer.status != 200:
        yield from mistakes_of_error(told, status=answer.status)
    elif not isinstance(told, dict) or "error" in told or not (told.get("choices") or told.get("data")):
        yield f"no answer under status 200: {answer.body[:200]!r}"
    elif not all(choice.get("finish_reason") for choice in told.get("choices", ())):
        yield "a choice without a finish reason"


def mistakes_of_stream(answer: Answer) -> Iterator[str]:
    """A stream ends in exactly one of two ways: finish reason and one [DONE], or an error as last event."""
    if answer.status != 200:
        yield from mistakes_of_error(loaded(answer.body), status=answer.status)
        return
    events = events_of(answer.body)
    if not events:
        yield "a stream without events"
    elif isinstance(events[-1], dict) and "error" in events[-1]:
        yield from mistakes_of_error(events[-1], status=None)
        if "[DONE]" in events:
            yield "[DONE] in a stream that ended with an error"
    else:
        yield from mistakes_of_success(events)


def mistakes_of_success(events: list[Any]) -> Iterator[str]:
    chunks = events[:-1]
    if events[-1] != "[DONE]" or "[DONE]" in chunks:
        yield f"not exactly one [DONE] at the end, but {str(events[-1])[:200]}"
    if any("error" in chunk for chunk in chunks if isinstance(chunk, dict)):
        yield "an error, and more after it"
    finished = [c["index"] for chunk in chunks for c in chunk.get("choices", ()) if c.get("finish_reason")]
    opened = {c["index"] for chunk in chunks for c in chunk.get("choices", ())}
    if not finished or sorted(finished) != sorted(opened):
        yield f"choices {sorted(opened)}, finished {finished}"


def loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
