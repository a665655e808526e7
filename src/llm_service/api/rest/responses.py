"""Responses of the routes that are not hot: JSON and errors, each with its request id."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from llm_service.api.errors import error_body, error_headers, spoken
from llm_service.api.rest.wire import Receive, Scope, Send, let_pass
from llm_service.domain import LLMServiceError, RequestTooLarge


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(orjson.dumps(value), status_code=status, headers=headers, media_type="application/json")


class UnreadResponse(Response):
    """The answer to a request whose body is still to come and not wanted: what comes of it is let pass."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await let_pass(receive)
        await send({"type": "http.response.body", "body": b""})


def error_response(error: LLMServiceError, *, request_id: str) -> Response:
    """An error in the contract's form."""
    kind = UnreadResponse if isinstance(error, RequestTooLarge) else Response
    response = kind(
        error_body(error, request_id=request_id), status_code=spoken(error).status, media_type="application/json"
    )
    for name, value in error_headers(error):
        response.headers[name.decode()] = value.decode()
    return response
