"""Responses of the routes that are not hot: JSON and errors, each with its request id."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from llm_service.api.errors import error_body, error_headers, spoken
from llm_service.domain import LLMServiceError


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(orjson.dumps(value), status_code=status, headers=headers, media_type="application/json")


def error_response(error: LLMServiceError, *, request_id: str) -> Response:
    """An error in the contract's form."""
    response = Response(
        error_body(error, request_id=request_id), status_code=spoken(error).status, media_type="application/json"
    )
    for name, value in error_headers(error):
        response.headers[name.decode()] = value.decode()
    return response
