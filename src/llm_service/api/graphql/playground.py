"""GraphiQL for browsers, from files of our own: it needs no network but this service."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.graphql.parts import GraphqlParts
from llm_service.api.http_request import Receive, Scope, Send
from llm_service.api.page_files import file_response
from llm_service.api.rest.responses import error_response
from llm_service.domain import MethodNotAllowed, NotFound

STATIC: Final = Path(__file__).parent / "static"
PAGE: Final = STATIC / "graphiql.html"
VENDORED: Final = STATIC / "graphiql"
SCRIPT, STYLE = "text/javascript", "text/css"
# No file of the page is looked up by a path that a request names.
FILES: Final[Mapping[str, tuple[Path, str]]] = MappingProxyType(
    {
        "page.js": (STATIC / "page.js", SCRIPT),
        "page.css": (STATIC / "page.css", STYLE),
        "examples.js": (STATIC / "examples.js", SCRIPT),
        "graphiql.min.js": (VENDORED / "graphiql.min.js", SCRIPT),
        "graphiql.min.css": (VENDORED / "graphiql.min.css", STYLE),
        "react.production.min.js": (VENDORED / "react.production.min.js", SCRIPT),
        "react-dom.production.min.js": (VENDORED / "react-dom.production.min.js", SCRIPT),
    }
)


class Playground:
    """The page is open to everybody: it tells nothing, and a key is typed into it."""

    def __init__(self, parts: GraphqlParts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page, or one of its files."""
        request_id = self._parts.ids.new("req")
        response = await self._response(Request(scope, receive), request_id)
        response.headers["x-request-id"] = request_id
        for name, value in self._parts.fixed_headers:
            response.headers[name.decode()] = value.decode()
        await response(scope, receive, send)

    async def _response(self, request: Request, request_id: str) -> Response:
        if request.method not in {"GET", "HEAD"}:
            refusal = MethodNotAllowed("This address is asked by GET.", allowed=("GET",))
            return error_response(refusal, request_id=request_id)
        name = request.scope["path"].removeprefix("/graphql").strip("/")
        if not name:
            return await file_response(PAGE, "text/html", request)
        known = FILES.get(name)
        if known is None:
            error = NotFound("The page has no such file; GraphQL itself is at /graphql.")
            return error_response(error, request_id=request_id)
        return await file_response(*known, request)
