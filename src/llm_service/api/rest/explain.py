"""``/v1/explain``: what would become of a request to a model, and why."""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.calls import Calls
from llm_service.api.explained import explanation_object
from llm_service.api.http_request import headers_of
from llm_service.api.rest.call_headers import options_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import caller_of, json_object, read_body
from llm_service.domain import (
    Body,
    InvalidValue,
    ModelRequest,
    Operation,
    chat_request,
    completion_request,
    embedding_request,
)
from llm_service.services import Explain

PARSERS: Final[Mapping[str, Callable[[Body, int], ModelRequest]]] = {
    "chat": chat_request,
    "completion": completion_request,
    "embedding": embedding_request,
}


class ExplainRoutes:
    """Takes what the hot routes take, body and headers, and calls nobody."""

    def __init__(self, explain: Explain, calls: Calls, *, max_body_bytes: int) -> None:
        self._explain = explain
        self._calls = calls
        self._max_body_bytes = max_body_bytes

    async def explain(self, request: Request) -> Response:
        """The explanation; a body that is no request is refused as the request itself would be."""
        headers = headers_of(request.scope)
        options = options_of(headers)
        body = await read_body(request.receive, headers, self._max_body_bytes)
        asked = request_in(json_object(body), len(body))
        exchange = self._calls.exchange(
            asked,
            options,
            caller=caller_of(request),
            request_id=request.state.request_id,
            surface="rest",
            received_at=self._calls.clock.monotonic(),
        )
        explanation = await self._explain.of(exchange, draining=self._calls.serving.draining)
        return json_response(explanation_object(explanation, request_id=exchange.id))


def request_in(body: Body, body_bytes: int) -> ModelRequest:
    """The request that a body is, by its field ``operation``, else by its shape. Raises InvalidValue."""
    fields = {name: value for name, value in body.items() if name != "operation"}
    named = body.get("operation")
    parse = PARSERS.get(_shape_of(body) if named is None else named) if type(named) in (str, NoneType) else None
    if parse is None:
        raise InvalidValue("'operation' must be 'chat', 'completion' or 'embedding'.", param="operation")
    return parse(fields, body_bytes)


def _shape_of(body: Body) -> Operation:
    if "messages" in body:
        return "chat"
    return "completion" if "prompt" in body else "embedding" if "input" in body else "chat"
