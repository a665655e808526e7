"""The headers that requests may carry and responses do."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from llm_service.api.call_options import MAX_KEY_CHARS, MAX_TIMEOUT_S, MAX_USER_CHARS
from llm_service.domain import CacheStatus, CostSource

Json = dict[str, Any]

RESPONSE_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "x-request-id": {
        "description": "Names the request in the log.",
        "schema": {"type": "string", "examples": ["req_0675fd8a4aa94acc3cd1e26eb8"]},
    },
    "x-llm-sandbox": {
        "description": "`true` in sandbox mode, where the providers are simulated; absent otherwise.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "x-llm-provider": {"description": "Who answered.", "schema": {"type": "string", "examples": ["deepseek"]}},
    "x-llm-model": {
        "description": "The name under which the provider was asked; percent-encoded where it is not plain ASCII.",
        "schema": {"type": "string", "examples": ["deepseek-flash"]},
    },
    "x-llm-attempts": {
        "description": "How many calls to providers it took; 0 where the answer was there already, or another "
        "request's. On a failure only when there were any.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "x-llm-cache": {
        "description": "What the response cache did: `hit` and `stale` were kept, `semantic` is the kept answer to a "
        "question in other words, `coalesced` another request's answer that was on its way, `replay` was given under "
        "this `Idempotency-Key` before, `miss` is new, and `bypass` had nothing to do with the cache.",
        "schema": {"type": "string", "enum": [*get_args(CacheStatus)]},
    },
    "age": {
        "description": "Seconds since a kept answer was made (RFC 9111).",
        "schema": {"type": "integer", "minimum": 0},
    },
    "cache-status": {
        "description": "What the response cache did and why (RFC 9211).",
        "schema": {"type": "string", "examples": ["llm-service; hit; ttl=3480", "llm-service; fwd=uri-miss"]},
    },
    "cache-control": {
        "description": "Keeps caches between the service and its client from giving one user's answer to another.",
        "schema": {"type": "string", "enum": ["private, no-store", "no-cache"]},
    },
    "x-llm-cost-usd": {
        "description": "What the answer cost, where it is known: a decimal number of US dollars. Whole answers only; "
        "a stream tells it in its last chunk.",
        "schema": {"type": "string", "examples": ["0.00000375"]},
    },
    "x-llm-cost-source": {
        "description": "Where the cost comes from.",
        "schema": {"type": "string", "enum": [*get_args(CostSource)]},
    },
    "x-llm-stream-id": {
        "description": "Names the stream; its events are numbered under this name. Streams only.",
        "schema": {"type": "string", "examples": ["str_0675fd8a4aa9d5a1f0c2b7e884"]},
    },
    "server-timing": {
        "description": "Milliseconds of each stage (W3C Server Timing).",
        "schema": {
            "type": "string",
            "examples": ["parse;dur=0.05, observe;dur=0.01, resolve;dur=0.02, provider;dur=412.80"],
        },
    },
    "x-should-retry": {
        "description": "Whether to try again; official clients obey it before the status.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    },
    "retry-after": {
        "description": "Seconds to wait before another try, where they are known.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "retry-after-ms": {
        "description": "The same in milliseconds.",
        "schema": {"type": "integer", "minimum": 1},
    },
    **{
        f"x-ratelimit-{what}-{kind}": {
            "description": f"{said} of the tightest limit of {kind}, where one applies.",
            "schema": schema,
        }
        for kind in ("requests", "tokens")
        for what, said, schema in (
            ("limit", "The most in any 60 seconds", {"type": "integer", "minimum": 1}),
            ("remaining", "What is left", {"type": "integer", "minimum": 0}),
            ("reset", "When all of it is there again", {"type": "string", "examples": ["60s"]}),
        )
    },
    "ratelimit": {
        "description": "What is left of the tightest limits, and when there is more (IETF draft).",
        "schema": {"type": "string", "examples": ['"requests";r=59;t=60']},
    },
    "ratelimit-policy": {
        "description": "The tightest limits: how many in how many seconds (IETF draft).",
        "schema": {"type": "string", "examples": ['"requests";q=60;w=60']},
    },
    "allow": {"description": "The methods of this address.", "schema": {"type": "string", "examples": ["POST"]}},
}

ON_EVERY_RESPONSE: Final = ("x-request-id", "x-llm-sandbox")
LIMITS: Final = (
    *(f"x-ratelimit-{what}-{kind}" for kind in ("requests", "tokens") for what in ("limit", "remaining", "reset")),
    "ratelimit",
    "ratelimit-policy",
)
"""On answers, and on the refusals of limits."""
ON_ANSWERS: Final = (
    *ON_EVERY_RESPONSE,
    "x-llm-provider",
    "x-llm-model",
    "x-llm-attempts",
    "x-llm-cache",
    "age",
    "cache-status",
    "cache-control",
    "x-llm-cost-usd",
    "x-llm-cost-source",
    "x-llm-stream-id",
    "server-timing",
    *LIMITS,
)
ON_STREAMS: Final = (
    *ON_EVERY_RESPONSE,
    "x-llm-provider",
    "x-llm-model",
    "x-llm-cache",
    "cache-control",
    "x-llm-stream-id",
)
"""On a stream that is continued."""
_TRIED: Final = ("x-llm-attempts",)
"""On failures that providers were called for."""
_RETRY: Final = ("x-should-retry", "retry-after", "retry-after-ms")
ON_ERRORS: Final[Mapping[int, tuple[str, ...]]] = {
    400: _TRIED,
    404: _TRIED,
    405: ("allow",),
    413: _TRIED,
    429: (*_TRIED, *_RETRY, *LIMITS),
    500: (*_TRIED, *_RETRY[:1]),
    502: (*_TRIED, *_RETRY),
    503: (*_TRIED, *_RETRY),
    504: (*_TRIED, *_RETRY),
}

REQUEST_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Timeout": {
        "name": "X-LLM-Timeout-S",
        "in": "header",
        "description": "The caller's own deadline in seconds, for the whole answer. When it passes the provider's call "
        "is ended, and the code is `deadline_exceeded`.",
        "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT_S, "examples": [30]},
    },
    "User": {
        "name": "X-LLM-User",
        "in": "header",
        "description": "Whom the request is counted for, unless the api key belongs to a user; goes before the body's "
        "`user`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_USER_CHARS},
    },
    "Tags": {
        "name": "X-LLM-Tags",
        "in": "header",
        "description": "Tags of the request's record, for reports; those of the api key win.",
        "schema": {"type": "string", "examples": ["team=search,env=prod"]},
    },
    "CacheControl": {
        "name": "Cache-Control",
        "in": "header",
        "description": "What the response cache may do (RFC 9111): `no-cache` wants a new answer, which is kept; "
        "`no-store` neither takes a kept one nor keeps the new one; `only-if-cached` takes a kept one or fails with "
        "`only_if_cached_miss`; `max-age`, `min-fresh` and `max-stale` (seconds) say which kept one will do.",
        "schema": {"type": "string", "examples": ["no-cache", "max-age=600", "only-if-cached, max-stale"]},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same request gets the answer of the first time, and nothing is paid "
        "again (`idempotency.retention_s`); with another request it is a 422. The request goes on when its client "
        "leaves, so that the next try finds its answer. Keys of two api keys are two.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS},
    },
    "OnDisconnect": {
        "name": "X-LLM-On-Disconnect",
        "in": "header",
        "description": "When the last reader of the answer leaves: `cancel` ends the provider's call, `finish` lets "
        "the answer run to its end and keeps it, to be resumed. Unless given as the api key says, else as "
        "`streams.on_disconnect` does.",
        "schema": {"type": "string", "enum": ["cancel", "finish"]},
    },
    "Traceparent": {
        "name": "traceparent",
        "in": "header",
        "description": "The trace that the request belongs to, and whether it is recorded (W3C Trace Context). What "
        "is not valid counts as not said.",
        "schema": {"type": "string", "examples": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]},
    },
    "Tracestate": {
        "name": "tracestate",
        "in": "header",
        "description": "What tracing systems say beside `traceparent`, to be passed on.",
        "schema": {"type": "string", "examples": ["vendor=value"]},
    },
    "LastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "With an empty body: go on with the stream after this event, as `GET /v1/streams/{id}` does. "
        "It never begins a new answer; with a body it means nothing.",
        "schema": {"type": "string", "examples": ["str_0675fd8a4aa9d5a1f0c2b7e884.12"]},
    },
}


def described(names: Iterable[str]) -> Json:
    """These response headers, by reference."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
