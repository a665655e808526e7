"""What the service says of itself: name, description for programs, and a page for people that needs no network."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.page_files import file_response
from llm_service.api.rest.openapi import openapi_document
from llm_service.api.rest.responses import json_response
from llm_service.domain import NotFound

STATIC: Final = Path(__file__).parent / "static"
PAGE: Final = STATIC / "docs.html"
# No file of the page is looked up by a path that a request names.
FILES: Final[Mapping[str, tuple[Path, str]]] = MappingProxyType(
    {
        "docs.css": (STATIC / "docs.css", "text/css"),
        "docs.js": (STATIC / "docs.js", "text/javascript"),
        "swagger-ui.css": (STATIC / "swagger-ui" / "swagger-ui.css", "text/css"),
        "swagger-ui-bundle.js": (STATIC / "swagger-ui" / "swagger-ui-bundle.js", "text/javascript"),
    }
)


class DocsRoutes:
    """``GET /``, the docs page with its files, and the OpenAPI description."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._openapi = orjson.dumps(openapi_document(version, page_files=tuple(FILES)))

    async def index(self, _: Request) -> Response:
        """Who answers here, and where to go on."""
        links = {"docs": "/docs", "openapi": "/openapi.json", "models": "/v1/models", "health": "/health"}
        return json_response({"name": "llm-service", "version": self._version, "links": links})

    async def page(self, request: Request) -> Response:
        """The page for people; it needs no network but this service."""
        return await file_response(PAGE, "text/html", request)

    async def file(self, request: Request) -> Response:
        """One of the page's own files. Raises NotFound for any other name."""
        known = FILES.get(request.path_params["name"])
        if known is None:
            raise NotFound("The docs page has no such file.")
        return await file_response(*known, request)

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI 3.1 description of the REST surface."""
        return Response(self._openapi, media_type="application/json")
