"""``/admin/audit``: what operators did, and what they were refused."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import count_of
from llm_service.services import AUDIT_FILTERS, Audit, audit_object, read_audit_filter

PAGE_ENTRIES: Final = 100
MOST_PAGE_ENTRIES: Final = 1000


class AuditRoutes:
    """Reads alone: nothing here changes an entry."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def page(self, request: Request) -> Response:
        """A page of entries, newest first."""
        given = query_of(request, known=(*AUDIT_FILTERS, "cursor", "limit"))
        count = count_of(request, "limit", default=PAGE_ENTRIES, at_most=MOST_PAGE_ENTRIES)
        which = read_audit_filter({name: text for name, text in given.items() if name in AUDIT_FILTERS})
        page = await self._audit.page(which, cursor=given.get("cursor"), count=count)
        return json_response({"data": [audit_object(one) for one in page.entries], "next_cursor": page.next_cursor})
