"""The dashboard's page and the files it is made of: as they were written, nothing builds them."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.page_files import file_response
from llm_service.domain import NotFound

STATIC: Final = Path(__file__).parent / "static"
PAGE: Final = STATIC / "dashboard.html"
VENDORED: Final = STATIC / "uplot"
SHARED: Final = (
    "api app chart dialog dom format live period playground_stream router shell table theme toast waterfall".split()
)
"""What several pages are made of."""
PAGES: Final = (
    "alerts cache configuration generation generations health keys limits login models overview playground providers "
    "usage".split()
)
"""One script for each page."""
# No file of the page is looked up by a path that a request names.
FILES: Final[Mapping[str, tuple[Path, str]]] = MappingProxyType(
    {
        "dashboard.css": (STATIC / "dashboard.css", "text/css"),
        "icon.svg": (STATIC / "icon.svg", "image/svg+xml"),
        "uPlot.min.css": (VENDORED / "uPlot.min.css", "text/css"),
        "uPlot.iife.min.js": (VENDORED / "uPlot.iife.min.js", "text/javascript"),
        **{f"{name}.js": (STATIC / f"{name}.js", "text/javascript") for name in SHARED},
        **{f"page_{name}.js": (STATIC / f"page_{name}.js", "text/javascript") for name in PAGES},
    }
)
# From this service only; nobody may frame it, and no window that opened it, or that it opens, holds on to it.
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ),
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "cache-control": "no-cache",
    }
)


class DashboardPages:
    """Open to everybody: the files tell nothing, and a key is typed into the page."""

    async def page(self, request: Request) -> Response:
        """The one page that all others appear in."""
        return await file_response(PAGE, "text/html", request, headers=HEADERS)

    async def file(self, request: Request) -> Response:
        """One of the page's own files. Raises NotFound for any other name."""
        known = FILES.get(request.path_params["name"])
        if known is None:
            raise NotFound("The dashboard has no such file.")
        return await file_response(*known, request, headers=HEADERS)
