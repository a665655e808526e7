"""The entrance to GraphQL, which builds what is behind it when the first request comes."""

import asyncio
from typing import Final, Protocol

from llm_service.api.graphql.negotiation import takes_page
from llm_service.api.graphql.parts import GraphqlParts
from llm_service.api.graphql.playground import Playground
from llm_service.api.graphql.trusted import TrustedDocuments, read_documents
from llm_service.api.http_request import Receive, Scope, Send

PATH: Final = "/graphql"


class Site(Protocol):
    """What stands behind the door."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one WebSocket."""


class GraphqlDoor:
    """Serves ``/graphql``: pages for browsers at once; for everything else GraphQL's libraries are needed.

    They take 0.2 s and 26 MB, so they are imported in a thread when somebody asks: who never does, pays nothing.
    """

    def __init__(self, parts: GraphqlParts) -> None:
        """Raises OSError and ValueError for trusted documents that cannot be read."""
        options = parts.options
        found = {} if options.trusted_documents is None else read_documents(options.trusted_documents)
        self._trusted = TrustedDocuments(found, only=options.trusted_only)
        self._parts = parts
        self._has_files = options.playground
        self._playground = Playground(parts) if options.playground else None
        self._building = asyncio.Lock()
        self._site: Site | None = None

    def serves(self, path: str) -> bool:
        """Whether an address is ours."""
        return path.startswith(PATH) and (path.rstrip("/") == PATH or (self._has_files and path.startswith(f"{PATH}/")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one WebSocket."""
        if scope["type"] == "http" and self._playground is not None and self._wants_page(scope):
            await self._playground(scope, receive, send)
            return
        site = self._site or await self._built()
        await site(scope, receive, send)

    def _wants_page(self, scope: Scope) -> bool:
        if scope["path"].rstrip("/") != PATH:
            return True
        asks = scope["method"] in {"GET", "HEAD"} and not scope["query_string"]
        return asks and takes_page(dict(scope["headers"]).get(b"accept"))

    async def _built(self) -> Site:
        async with self._building:
            if self._site is None:
                self._site = await asyncio.to_thread(_build, self._parts, self._trusted)
            return self._site


def _build(parts: GraphqlParts, trusted: TrustedDocuments) -> Site:
    from llm_service.api.graphql.site import GraphqlSite

    return GraphqlSite(parts, trusted)
