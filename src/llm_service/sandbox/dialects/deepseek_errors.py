"""DeepSeek's errors as data: id, status, body."""

from __future__ import annotations

from llm_service.sandbox.dialects.base import ErrorCase
from llm_service.sandbox.messages import Json


def _body(message: str, kind: str = "invalid_request_error", code: str = "invalid_request_error") -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


_AUTH = "authentication_error"
_RATE = "rate_limit_error"

ERRORS = {
    "400": ErrorCase(400, _body("{message}")),
    "400-json": ErrorCase(400, _body("Failed to parse the request body as JSON: {detail}")),
    "400-model": ErrorCase(
        400, _body("The supported API model names are deepseek-flash, deepseek-v4-pro, but you passed {model}.")
    ),
    "401": ErrorCase(401, _body("Authentication Fails, Your api key: ****{tail} is invalid", _AUTH)),
    "401-format": ErrorCase(401, _body("Authentication Fails (auth header format should be Bearer sk-...)", _AUTH)),
    "402": ErrorCase(402, _body("Insufficient Balance", "unknown_error")),
    "404-path": ErrorCase(404, "", content_type="text/plain"),
    "422": ErrorCase(422, _body("Invalid max_tokens value, the valid range of max_tokens is [1, 393216]")),
    "429": ErrorCase(429, _body("Rate limit reached for TPM", _RATE)),
    "500": ErrorCase(500, _body("Internal Server Error", "internal_error", "internal_error")),
    "503": ErrorCase(503, _body("Service is too busy.", "service_unavailable_error", "service_unavailable_error")),
}
