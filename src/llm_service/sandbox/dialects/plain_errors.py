"""Errors of OpenAI and of compatible servers as data: id, status, body."""

from __future__ import annotations

from llm_service.sandbox.dialects.base import ErrorCase
from llm_service.sandbox.messages import Json


def _body(message: str, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


ERRORS = {
    "400": ErrorCase(400, _body("{message}", param="{param}")),
    "400-json": ErrorCase(400, _body("We could not parse the JSON body of your request. ({detail})")),
    "401": ErrorCase(401, _body("Incorrect API key provided: {hint}.", code="invalid_api_key")),
    "401-missing": ErrorCase(401, _body("You didn't provide an API key.")),
    "404": ErrorCase(
        404, _body("The model `{model}` does not exist or you do not have access to it.", code="model_not_found")
    ),
    "404-path": ErrorCase(404, _body("Invalid URL ({method} {path})")),
    "429": ErrorCase(429, _body("Rate limit reached", "requests", "rate_limit_exceeded"), (("retry-after", "1"),)),
    "500": ErrorCase(500, _body("The server had an error", "server_error")),
    "503": ErrorCase(503, _body("Overloaded", "service_unavailable_error", "server_is_overloaded")),
}
