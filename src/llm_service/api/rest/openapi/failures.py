"""The error body, and the responses in which it comes."""

from collections.abc import Mapping
from typing import Any, Final

from llm_service.api.errors import TABLE, Spoken
from llm_service.api.rest.openapi.codes import FAILURES, STREAM_FAILURES, Failure
from llm_service.api.rest.openapi.headers import ON_ERRORS, ON_EVERY_RESPONSE, described

Json = dict[str, Any]

_REASONS: Final[Mapping[int, str]] = {
    400: "The request cannot be served as it is.",
    401: "A valid key is required.",
    403: "The key does not reach that far, or there is none and the request comes from elsewhere.",
    404: "There is no such model or address.",
    405: "The address is asked by another method.",
    413: "The body is too large.",
    422: "The idempotency key belongs to another request.",
    429: "A limit has no room, or too many requests for the provider.",
    500: "The service has a defect.",
    502: "The provider failed.",
    503: "The request cannot be served now.",
    504: "It took too long, or a kept answer was wanted and there is none.",
}


def error_responses() -> Json:
    """One reusable response for each status: ``Error400``, ``Error401`` ..."""
    return {response_name(status): _response(status, reason) for status, reason in _REASONS.items()}


def response_name(status: int) -> str:
    return f"Error{status}"


def error_schemas() -> Json:
    """The error body, and the same as the last event of a stream."""
    codes = [failure.code for failure in FAILURES]
    return {
        "Error": _error_schema(codes, {}),
        "StreamError": _error_schema(
            [*codes, *(failure.code for failure in STREAM_FAILURES)],
            {"stream_id": {"type": "string", "description": "The stream that ends here."}},
        ),
    }


def error_table() -> str:
    """The codes of each status as a table in Markdown."""
    types = {failure.spoken: None for failure in FAILURES}
    lines = [f"| {row.status} | `{row.type}` | {_codes(row)} |" for row in types]
    ends = ", ".join(f"`{failure.code}`" for failure in STREAM_FAILURES)
    return "\n".join(["| status | type | codes |", "|---|---|---|", *lines, f"| in streams also | | {ends} |"])


def _codes(row: Spoken) -> str:
    return ", ".join(f"`{failure.code}`" for failure in FAILURES if failure.spoken == row)


def _response(status: int, reason: str) -> Json:
    failures = [failure for failure in FAILURES if failure.spoken.status == status]
    codes = [failure.code for failure in failures]
    only_these = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, only_these]}
    examples = {failure.code: {"summary": failure.meaning, "value": _example(failure)} for failure in failures}
    headers = [*ON_EVERY_RESPONSE, *ON_ERRORS.get(status, ())]
    return {
        "description": reason,
        "headers": described(headers),
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }


def _example(failure: Failure) -> Json:
    upstream = failure.error.fault == "upstream"
    return {
        "error": {
            "message": failure.meaning,
            "type": failure.spoken.type,
            "param": None,
            "code": failure.code,
        },
        "request_id": "req_0675fd8a4aa94acc3cd1e26eb8",
        "provider": "deepseek" if upstream else None,
        "retryable": failure.error.retryable,
    }


def _error_schema(codes: list[str], more: Json) -> Json:
    types = sorted({row.type for row in TABLE.values()})
    error = {
        "type": "object",
        "required": ["message", "type", "param", "code"],
        "properties": {
            "message": {"type": "string", "description": "For people. Holds no secret and no prompt."},
            "type": {"type": "string", "enum": types},
            "param": {
                "type": ["string", "null"],
                "description": "The field or header at fault, as a path.",
                "examples": ["messages[0].role"],
            },
            "code": {"type": "string", "enum": codes, "description": "For programs: it is stable."},
        },
    }
    return {
        "type": "object",
        "required": ["error", "request_id", "provider", "retryable", *more],
        "properties": {
            "error": error,
            "request_id": {"type": "string", "description": "Names the request in the log."},
            "provider": {"type": ["string", "null"], "description": "Whose failure it was."},
            "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
            **more,
        },
    }
