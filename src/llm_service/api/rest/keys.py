"""``/admin/keys``: api keys, for whoever administrates the service."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import count_of, json_body
from llm_service.runtime import Clock
from llm_service.services import Issued, Keys, key_object

PAGE_KEYS: Final = 100
MOST_PAGE_KEYS: Final = 1000


class KeyRoutes:
    """Create, list, show, change, rotate and revoke. A secret is in the answer that made it, and in no other."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def list(self, request: Request) -> Response:
        """A page of the keys, oldest first."""
        given = query_of(request, known=("cursor", "limit"))
        count = count_of(request, "limit", default=PAGE_KEYS, at_most=MOST_PAGE_KEYS)
        page = await self._keys.list(after=given.get("cursor"), count=count)
        now = self._clock.now()
        data = [key_object(key, now=now) for key in page.keys]
        return json_response({"data": data, "next_cursor": page.next_cursor})

    async def create(self, request: Request) -> Response:
        """A new key with its secret."""
        return self._issued(await self._keys.create(await json_body(request)))

    async def get(self, request: Request) -> Response:
        """One key."""
        return json_response(key_object(await self._keys.get(_id_of(request)), now=self._clock.now()))

    async def update(self, request: Request) -> Response:
        """The key with some of its fields changed."""
        key = await self._keys.update(_id_of(request), await json_body(request))
        return json_response(key_object(key, now=self._clock.now()))

    async def rotate(self, request: Request) -> Response:
        """The key with a new secret."""
        return self._issued(await self._keys.rotate(_id_of(request), await json_body(request, optional=True)))

    async def revoke(self, request: Request) -> Response:
        """The key, revoked."""
        return json_response(key_object(await self._keys.revoke(_id_of(request)), now=self._clock.now()))

    def _issued(self, issued: Issued) -> Response:
        body = {**key_object(issued.key, now=self._clock.now()), "key": issued.secret.reveal()}
        return json_response(body, headers={"cache-control": "no-store"})


def _id_of(request: Request) -> str:
    return str(request.path_params["id"])
