"""Responses of the routes that are not hot: JSON and errors, each with its request id."""

import asyncio
import os
from collections.abc import Mapping
from typing import IO, Any, Final

import orjson
from starlette.responses import Response

from llm_service.api.errors import error_body, error_headers, spoken
from llm_service.api.http_request import Receive, Scope, Send
from llm_service.api.rest.wire import let_pass
from llm_service.domain import LLMServiceError, RequestTooLarge

PIECE_BYTES: Final = 256 * 1024


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(orjson.dumps(value), status_code=status, headers=headers, media_type="application/json")


class UnreadResponse(Response):
    """The answer to a request whose body is still to come and not wanted: what comes of it is let pass."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await let_pass(scope, receive)
        await send({"type": "http.response.body", "body": b""})


class FileResponse(Response):
    """An open file as a download, in pieces; it is closed whatever becomes of the connection."""

    def __init__(self, file: IO[bytes], *, name: str, media_type: str) -> None:
        super().__init__(media_type=media_type)
        self._file = file
        self.headers["content-disposition"] = f'attachment; filename="{name}"'
        self.headers["content-length"] = str(file.seek(0, os.SEEK_END))
        self.headers["cache-control"] = "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            file.seek(0)
            while scope["method"] != "HEAD" and (piece := await asyncio.to_thread(file.read, PIECE_BYTES)):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
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
