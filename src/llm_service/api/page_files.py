"""Files of the service's own pages, as browsers get them."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

# The page may load from this service only, and nobody may frame it; the server says the rest, with every response.
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src data:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "cache-control": "no-cache",
    }
)


async def file_response(
    path: Path, media_type: str, request: Request, *, headers: Mapping[str, str] = HEADERS
) -> Response:
    """A file as a whole, or the word that the browser's copy is still good."""
    content = await asyncio.to_thread(path.read_bytes)
    headers = {**headers, "etag": f'"{sha256(content).hexdigest()[:32]}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
