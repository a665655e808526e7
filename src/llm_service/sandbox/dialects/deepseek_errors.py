"""DeepSeek's errors as data. Almost all of them carry the same `code`; the status tells them apart."""

from __future__ import annotations

from typing import Final

from llm_service.sandbox.dialects.errors import ErrorCase, Errors
from llm_service.sandbox.messages import Json


def _body(message: str, kind: str = "invalid_request_error", code: str = "invalid_request_error") -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


_AUTH: Final = "authentication_error"
_RATE: Final = "rate_limit_error"
_BUSY: Final = "service_unavailable_error"
_NOT_JSON: Final = "Failed to deserialize the JSON body into the target type: "

_PAGE: Final = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n"
)

_MODEL: Final = ErrorCase(
    400, _body("The supported API model names are deepseek-flash, deepseek-v4-pro, but you passed {model}.")
)

ERRORS: Final[Errors] = {
    "400": ErrorCase(400, _body("{message}")),
    "400-json": ErrorCase(400, _body(_NOT_JSON + "{detail}")),
    "400-model": _MODEL,
    "model": _MODEL,
    "400-reasoning-content": ErrorCase(
        400, _body("The `reasoning_content` in the thinking mode must be passed back to the API.")
    ),
    "400-content-type": ErrorCase(
        400, _body(_NOT_JSON + "messages[{index}]: invalid type: sequence, expected a string at line 1 column 64")
    ),
    "400-empty-assistant": ErrorCase(400, _body("Invalid assistant message: content or tool_calls must be set")),
    "400-tool-output": ErrorCase(400, _body("No tool output found for tool call {call_id}.")),
    "400-octet-stream": ErrorCase(
        400, _body("No tool output found for tool call call-a."), content_type="application/octet-stream"
    ),
    "401": ErrorCase(401, _body("Authentication Fails, Your api key: ****{tail} is invalid", _AUTH)),
    "401-format": ErrorCase(401, _body("Authentication Fails (auth header format should be Bearer sk-...)", _AUTH)),
    "401-no-user": ErrorCase(401, _body("Authentication Fails (no such user)", _AUTH)),
    "402": ErrorCase(402, _body("Insufficient Balance", "unknown_error")),
    "404": ErrorCase(404, ""),
    "path": ErrorCase(404, "", content_type="text/plain"),
    "413": ErrorCase(413, _PAGE.replace("502 Bad Gateway", "413 Request Entity Too Large"), content_type="text/html"),
    "422": ErrorCase(422, _body("Invalid max_tokens value, the valid range of max_tokens is [1, 393216]")),
    "429": ErrorCase(
        429,
        _body(
            "Too many requests. Your current concurrency is 26, which exceeds your concurrency limit of 25 based on "
            "your remaining balance. Please top up your balance to restore your concurrency.",
            _RATE,
        ),
    ),
    "429-tpm": ErrorCase(429, _body("Rate limit reached for TPM", _RATE)),
    "429-rpm": ErrorCase(429, _body("Rate limit reached: too many requests per minute", _RATE)),
    "500": ErrorCase(500, _body("Internal Server Error", "internal_error", "internal_error")),
    "usual": ErrorCase(500, _body("Internal Server Error", "internal_error", "internal_error")),
    "502": ErrorCase(502, _PAGE, content_type="text/html"),
    "503": ErrorCase(
        503,
        _body(
            "Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.",
            _BUSY,
            _BUSY,
        ),
    ),
    "504": ErrorCase(504, _PAGE.replace("502 Bad Gateway", "504 Gateway Time-out"), content_type="text/html"),
}
