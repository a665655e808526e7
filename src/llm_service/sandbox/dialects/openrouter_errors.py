"""OpenRouter's errors as data. The HTTP status is `error.code`, which one kind of availability error lacks."""

from __future__ import annotations

from typing import Any, Final

from llm_service.sandbox.dialects.errors import ErrorCase, Errors
from llm_service.sandbox.messages import Json

USER: Final = "user_SANDBOX"

_SETTINGS: Final = "https://openrouter.ai/settings"
_RETURNED: Final = "Provider returned error"
_SHARED_POOL: Final = (
    "{model} is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate "
    f"limits: {_SETTINGS}/integrations"
)
_PAGE: Final = (
    "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<center><h1>502 Bad Gateway</h1></center>\n"
    "<hr><center>cloudflare</center>\n</body>\n</html>\n"
)


def _bare(code: int, message: str, **more: Any) -> Json:
    return {"error": {"message": message, "code": code, **more}}


def _known(code: int, message: str, **more: Any) -> Json:
    """An error after the account was recognised."""
    return {**_bare(code, message, **more), "user_id": USER}


def _case(code: int, message: str, **more: Any) -> ErrorCase:
    return ErrorCase(code, _known(code, message, **more))


def _limited(message: str, *, limit: int, reset: str, **metadata: Any) -> ErrorCase:
    headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    body = _known(429, message, metadata={"headers": headers, **metadata})
    return ErrorCase(429, body, tuple((name.lower(), value) for name, value in headers.items()))


def _unavailable(
    status: int, code: str, message: str, *, retry_after_s: int | None = None, old_code: bool = True, **more: Any
) -> ErrorCase:
    availability: Json = {"code": code, "retryable": retry_after_s is not None, "requested_models": ["{model}"]}
    if retry_after_s is not None:
        availability["retry_after"] = retry_after_s
    availability |= {**more, "docs_url": f"https://openrouter.ai/docs/errors#{code}"}
    error: Json = {"message": message, "availability": availability}
    error |= {"code": status} if old_code else {"error_type": "rate_limit_exceeded", "http_status": status}
    if retry_after_s is not None:
        kind = "rate_limit_exceeded" if status == 429 else "provider_overloaded"
        previous = [{"provider": "sandbox-one", "code": code, "status": status}]
        error["metadata"] = {"error_type": kind, "previous_errors": previous}
    headers = () if retry_after_s is None else (("retry-after", str(retry_after_s)),)
    return ErrorCase(status, {"error": error}, headers)


_NO_MODEL: Final = _case(400, "{model} is not a valid model ID")
_NO_CREDITS: Final = _case(
    402,
    "Insufficient credits. Add more using https://openrouter.ai/credits",
    metadata={"limit_source": "openrouter_credits"},
)
_MODERATED: Final = _case(
    403,
    '{model} requires moderation on Sandbox One. Your input was flagged for "violence/graphic". '
    "No credits were charged.",
    metadata={
        "reasons": ["violence/graphic"],
        "flagged_input": "the first characters of the flagged text ... and its last",
        "provider_name": "Sandbox One",
        "model_slug": "{model}",
    },
)
_DISCONNECTED: Final = _bare(502, "Provider disconnected unexpectedly", metadata={"error_type": "provider_unavailable"})

_BAD_REQUESTS: Final[Errors] = {
    "400": _case(400, "{message}", metadata={"error_type": "invalid_request"}),
    "400-json": _case(400, "Invalid JSON in the request body: {detail}"),
    "400-model": _NO_MODEL,
    "model": _NO_MODEL,
    "400-context": _case(
        400,
        "This endpoint's maximum context length is {context} tokens. However, you requested about {asked} tokens "
        "({input} of text input, {output} in the output). Please reduce the length of either one, or use the "
        '"middle-out" transform to compress your prompt automatically.',
        metadata={"provider_name": None},
    ),
    "400-provider": _case(
        400,
        _RETURNED,
        metadata={
            "raw": '{"error":{"message":"Invalid parameter: temperature","type":"invalid_request_error"}}',
            "provider_name": "Sandbox One",
            "error_type": "invalid_request",
        },
    ),
    "401": ErrorCase(401, _bare(401, "User not found.")),
    "401-missing": ErrorCase(401, _bare(401, "Missing Authentication header")),
    "401-no-credentials": ErrorCase(401, _bare(401, "No auth credentials found")),
    "401-cookie": ErrorCase(401, _bare(401, "No cookie auth credentials found")),
    "402": _NO_CREDITS,
    "402-credits": _NO_CREDITS,
    "402-max-tokens": _case(
        402,
        "This request requires more credits, or fewer max_tokens. You requested up to {output} tokens, but can only "
        f"afford 3395. To increase, visit {_SETTINGS}/credits and upgrade to a paid account",
        metadata={"provider_name": None, "previous_errors": []},
    ),
    "403": _MODERATED,
    "403-moderation": _MODERATED,
    "403-guardrail": _case(403, "Request blocked by a guardrail", metadata={"patterns": ["sandbox-pattern"]}),
    "403-key-limit": _case(403, f"Key limit exceeded (total limit). Manage it using {_SETTINGS}/keys"),
    "403-management": ErrorCase(403, _bare(403, "Only management keys can fetch credits for an account")),
    "403-region": _unavailable(
        403, "region_restricted", "{model} is not available in your region.", excluded_by=["geo"]
    ),
    "404": _unavailable(404, "no_endpoints", "No endpoints found for {model}."),
    "404-privacy": _unavailable(
        404,
        "privacy_restricted",
        f"No endpoints found matching your data policy. Configure: {_SETTINGS}/privacy",
        excluded_by=["data_policy:training"],
    ),
    "404-filtered": _unavailable(
        404,
        "constraint_filtered",
        "No endpoints found that satisfy the constraints of the request.",
        excluded_by=["allowed_providers"],
        constraint={"field": "provider.only", "detail": "none of the providers serves this model"},
    ),
    "404-deprecated": _unavailable(404, "model_deprecated", "{model} has been retired."),
    "404-free-ended": _unavailable(404, "free_variant_ended", "The free variant of {model} has ended."),
    "404-upstream": _unavailable(404, "model_unavailable_upstream", "The provider does not serve {model} any more."),
    "404-generation": ErrorCase(404, _bare(404, "Generation {id} not found")),
    "404-tools": _case(404, "No endpoints found that support tool use."),
    "path": ErrorCase(404, _bare(404, "Not Found")),
    "408": ErrorCase(408, _bare(408, "Operation timed out. Please try again later.")),
    "413": ErrorCase(413, _bare(413, "Request payload is too large", metadata={"error_type": "payload_too_large"})),
    "422": ErrorCase(422, _bare(422, "Invalid argument", metadata={"error_type": "unprocessable"})),
}

_RATE_LIMITS: Final[Errors] = {
    "429": _case(429, _RETURNED, metadata={"raw": _SHARED_POOL, "provider_name": "Sandbox One"}),
    "429-2026": _case(
        429,
        _RETURNED,
        metadata={
            "raw": _SHARED_POOL,
            "provider_name": "Sandbox One",
            "limit_source": "upstream_provider_shared_pool",
            "remedy_hint": "Retry later or use your own provider key",
        },
    ),
    "429-raw-json": _case(
        429,
        _RETURNED,
        metadata={
            "raw": '{"error":{"message":"Rate limit reached for TPM","type":"rate_limit_error","param":null}}',
            "provider_name": "DeepSeek",
        },
    ),
    "429-raw-object": _case(
        429,
        _RETURNED,
        metadata={"raw": {"error": {"message": "Too many requests", "code": 429}}, "provider_name": "Sandbox One"},
    ),
    "429-free-minute": _limited("Rate limit exceeded: free-models-per-min. ", limit=20, reset="{minute_ms}"),
    "429-free-daily": _limited(
        "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
        limit=50,
        reset="{day_ms}",
        limit_source="openrouter_free_tier_daily",
    ),
    "429-rpm": _limited(
        "Rate limit exceeded: limit_rpm/{model}/00000000-0000-4000-8000-000000000000. High demand on Sandbox One.",
        limit=60,
        reset="{minute_ms}",
    ),
    "429-capacity": _unavailable(
        429,
        "capacity_exhausted",
        "All providers for {model} are at capacity. Retry after 40 seconds.",
        retry_after_s=40,
        old_code=False,
        affected_providers=["sandbox-one", "sandbox-two"],
        fallback_models=["anthropic/claude-haiku-4.5"],
    ),
}

_FAULTS: Final[Errors] = {
    "500": ErrorCase(500, _bare(500, "Internal Server Error")),
    "502": _case(
        502,
        _RETURNED,
        metadata={
            "raw": "error code: 502",
            "provider_name": "Sandbox One",
            "previous_errors": [{"provider": "sandbox-two", "code": "provider_unavailable", "status": 503}],
        },
    ),
    "502-html": ErrorCase(502, _PAGE, content_type="text/html"),
    "usual": ErrorCase(502, _DISCONNECTED),
    "503": _unavailable(
        503,
        "temporarily_unavailable",
        "{model} is temporarily unavailable. Retry after 12 seconds.",
        retry_after_s=12,
        affected_providers=["sandbox-one"],
    ),
    "503-plain": ErrorCase(503, _bare(503, "Service temporarily unavailable")),
    "504": ErrorCase(504, _bare(504, "The provider timed out", metadata={"error_type": "timeout"})),
    "524": ErrorCase(524, _bare(524, "Request timed out. Please try again later.")),
    "529": _case(
        529,
        _RETURNED,
        metadata={
            "provider_name": "Anthropic",
            "raw": '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        },
    ),
}

ERRORS: Final[Errors] = {**_BAD_REQUESTS, **_RATE_LIMITS, **_FAULTS}
