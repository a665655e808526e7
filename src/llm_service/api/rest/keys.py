"""``/admin/keys``: api keys, for whoever administrates the service."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import count_of, json_body
from llm_service.domain import ApiKey, InvalidValue
from llm_service.runtime import Clock
from llm_service.services import Issued, Keys, key_object

PAGE_KEYS: Final = 100
MOST_PAGE_KEYS: Final = 1000
MOST_IDS: Final = 200
ORDERS: Final = ("oldest", "newest")


class KeyRoutes:
    """Create, list, show, change, rotate and revoke. A secret is in the answer that made it, and in no other."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def list(self, request: Request) -> Response:
        """A page of the keys, oldest first unless asked otherwise; or those of some ids, in any order."""
        given = query_of(request, known=("cursor", "limit", "order", "find", "ids"))
        if "ids" in given:
            return await self._several(given)
        page = await self._keys.list(
            after=given.get("cursor"),
            count=count_of(request, "limit", default=PAGE_KEYS, at_most=MOST_PAGE_KEYS),
            newest_first=_newest_first(given.get("order", "oldest")),
            find=given.get("find"),
        )
        return self._page(page.keys, page.next_cursor)

    async def _several(self, given: Mapping[str, str]) -> Response:
        if len(given) > 1:
            raise InvalidValue("'ids' stands alone: nothing is left to be sorted or found.", param="ids")
        ids = given["ids"].split(",")
        if len(ids) > MOST_IDS:
            raise InvalidValue(f"'ids' may be {MOST_IDS} at most.", param="ids")
        return self._page([*(await self._keys.several(ids)).values()], None)

    def _page(self, keys: Sequence[ApiKey], next_cursor: str | None) -> Response:
        now = self._clock.now()
        return json_response({"data": [key_object(key, now=now) for key in keys], "next_cursor": next_cursor})

    async def create(self, request: Request) -> Response:
        """A new key with its secret."""
        issued = await self._keys.create(await json_body(request))
        request.state.acted_on = issued.key.id
        return self._issued(issued)

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


def _newest_first(order: str) -> bool:
    if order not in ORDERS:
        raise InvalidValue(f"'order' must be one of: {', '.join(ORDERS)}.", param="order")
    return order == "newest"


def _id_of(request: Request) -> str:
    return str(request.path_params["id"])
