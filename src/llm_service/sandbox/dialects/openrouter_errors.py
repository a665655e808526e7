"""OpenRouter's errors as data: id, status, body."""

from __future__ import annotations

from llm_service.sandbox.dialects.base import ErrorCase
from llm_service.sandbox.messages import Json

_USER = "user_SANDBOX"


def _body(code: int, message: str, **more: object) -> Json:
    return {"error": {"message": message, "code": code, **more}}


ERRORS = {
    "400": ErrorCase(400, _body(400, "{message}")),
    "400-json": ErrorCase(400, _body(400, "Invalid JSON in request body: {detail}")),
    "400-model": ErrorCase(400, {**_body(400, "{model} is not a valid model ID"), "user_id": _USER}),
    "401": ErrorCase(401, _body(401, "User not found.")),
    "401-missing": ErrorCase(401, _body(401, "Missing Authentication header")),
    "401-no-credentials": ErrorCase(401, _body(401, "No auth credentials found")),
    "404-path": ErrorCase(404, _body(404, "Not Found")),
    "429": ErrorCase(429, _body(429, "Provider returned error")),
    "500": ErrorCase(500, _body(500, "Internal Server Error")),
    "503": ErrorCase(503, _body(503, "Service temporarily unavailable")),
}
