"""Errors on their way out: one table from the error tree to what each surface says."""

from collections.abc import Callable, Mapping
from functools import cache
from math import ceil
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from llm_service import domain
from llm_service.api.client import headers_in
from llm_service.domain import LLMServiceError


class Spoken(NamedTuple):
    """What REST says of an error class: the HTTP status and OpenAI's error type."""

    status: int
    type: str


TABLE: Final[Mapping[type[LLMServiceError], Spoken]] = MappingProxyType(
    {
        domain.CallerError: Spoken(400, "invalid_request_error"),
        domain.InvalidApiKey: Spoken(401, "authentication_error"),
        domain.NotLocal: Spoken(403, "permission_error"),
        domain.ModelNotAllowed: Spoken(403, "permission_error"),
        domain.ScopeMissing: Spoken(403, "permission_error"),
        domain.LimitReached: Spoken(429, "rate_limit_error"),
        domain.BudgetExceeded: Spoken(429, "insufficient_quota"),
        domain.PriceUnknown: Spoken(429, "insufficient_quota"),
        domain.NotFound: Spoken(404, "invalid_request_error"),
        domain.MethodNotAllowed: Spoken(405, "invalid_request_error"),
        domain.RequestTooLarge: Spoken(413, "invalid_request_error"),
        domain.IdempotencyKeyReused: Spoken(422, "invalid_request_error"),
        domain.UpstreamRateLimited: Spoken(429, "rate_limit_error"),
        domain.InternalError: Spoken(500, "internal_error"),
        domain.UpstreamError: Spoken(502, "upstream_error"),
        domain.GatewayError: Spoken(503, "service_unavailable"),
        domain.UpstreamNoBalance: Spoken(503, "service_unavailable"),
        domain.UpstreamTimeout: Spoken(504, "timeout"),
        domain.DeadlineExceeded: Spoken(504, "timeout"),
        domain.OnlyIfCachedMiss: Spoken(504, "timeout"),
        LLMServiceError: Spoken(500, "internal_error"),
    }
)

_TRIED_AGAIN: Final = frozenset((429, 500, 502, 503, 504))


def spoken(error: LLMServiceError) -> Spoken:
    """The row of the error's class, or of the nearest class above it."""
    return _row_of(type(error))  # type: ignore[arg-type]  # a class can be hashed


@cache
def _row_of(kind: type) -> Spoken:
    for ancestor in kind.__mro__:
        row = TABLE.get(ancestor)
        if row is not None:
            return row
    raise AssertionError("the root of the tree has a row")


def status_of(error: LLMServiceError) -> int:
    """The HTTP status of an error."""
    return spoken(error).status


def error_object(error: LLMServiceError, *, request_id: str) -> dict[str, Any]:
    """The contract's error body, for every surface."""
    said: dict[str, Any] = {
        "error": {"message": error.message, "type": spoken(error).type, "param": error.param, "code": error.code},
        "request_id": request_id,
        "provider": error.provider,
        "retryable": error.retryable,
    }
    if isinstance(error, domain.LimitReached) and error.limit is not None:
        said["limit"] = limit_object(error.limit, used=error.used, reserved=error.reserved)
    return said


def extensions_of(error: LLMServiceError, *, request_id: str) -> dict[str, Any]:
    """The same as ``extensions`` of a GraphQL error. ``retryAfterS``: seconds to wait first, when known.
    ``attempts``: calls of providers, when there were any.
    """
    said = error_object(error, request_id=request_id)
    extensions = {
        "code": error.code,
        "type": said["error"]["type"],
        "param": error.param,
        "requestId": request_id,
        "retryable": error.retryable,
        "provider": error.provider,
    }
    if error.retry_after_s is not None and error.retryable:
        extensions["retryAfterS"] = error.retry_after_s
    if error.attempts:
        extensions["attempts"] = error.attempts
    if "limit" in said:
        extensions["limit"] = said["limit"]
    return extensions


def limit_object(limit: domain.Limit, *, used: int, reserved: int) -> dict[str, Any]:
    """The contract's ``limit`` of a refusal: money as decimal strings in USD, everything else as counts."""
    as_said: Callable[[int], str | int] = domain.usd_text if limit.kind == "money" else int
    return {
        "scope": limit.scope,
        "kind": limit.kind,
        "window_s": domain.WINDOW_S if limit.kind in ("requests", "tokens") else None,
        "limit": as_said(limit.amount),
        "used": as_said(used),
        "reserved": as_said(reserved),
    }


def error_body(error: LLMServiceError, *, request_id: str) -> bytes:
    """The error body as JSON."""
    return orjson.dumps(error_object(error, request_id=request_id))


def error_block(error: LLMServiceError) -> bytes:
    """The header lines that tell clients whether and when to try again, and how often a provider was called for it.

    Official clients obey ``x-should-retry`` before the status.
    """
    block = b""
    if spoken(error).status in _TRIED_AGAIN:
        block = b"x-should-retry: true\r\n" if error.retryable else b"x-should-retry: false\r\n"
    if (after_s := error.retry_after_s) is not None and error.retryable:
        after = (max(1, ceil(after_s)), max(1, round(after_s * 1000)))
        block += b"retry-after: %d\r\nretry-after-ms: %d\r\n" % after
    if error.attempts:
        block += b"x-llm-attempts: %d\r\n" % error.attempts
    if isinstance(error, domain.MethodNotAllowed):
        block += b"allow: %b\r\n" % ", ".join(error.allowed).encode()
    return block


def error_headers(error: LLMServiceError) -> list[tuple[bytes, bytes]]:
    """The same by name."""
    return headers_in(error_block(error))
