"""``/v1/generations`` and ``/admin/usage``: what was recorded, one by one, in pages, summed up, and as a file."""

import asyncio
from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import IO, Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import FileResponse, json_response
from llm_service.api.rest.wire import caller_of, count_of
from llm_service.services import (
    FILTERS,
    ExportFormat,
    Usage,
    generation_object,
    read_filter,
    read_format,
    read_groups,
    record_object,
    sum_object,
    write_export,
)

PAGE_RECORDS: Final = 100
MOST_PAGE_RECORDS: Final = 1000
MEDIA_TYPES: Final[Mapping[ExportFormat, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "parquet": "application/vnd.apache.parquet",
}


class UsageRoutes:
    """Reads alone: nothing here changes a record."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._one_export_at_a_time = asyncio.Lock()

    async def generation(self, request: Request) -> Response:
        """One request of the caller's own."""
        found = await self._usage.generation(str(request.path_params["id"]), caller_of(request))
        return json_response(generation_object(found))

    async def page(self, request: Request) -> Response:
        """A page of records, newest first."""
        given = query_of(request, known=(*FILTERS, "cursor", "limit"))
        count = count_of(request, "limit", default=PAGE_RECORDS, at_most=MOST_PAGE_RECORDS)
        page = await self._usage.page(read_filter(_only_filters(given)), cursor=given.get("cursor"), count=count)
        return json_response({"data": [record_object(one) for one in page.records], "next_cursor": page.next_cursor})

    async def summary(self, request: Request) -> Response:
        """Sums by groups."""
        given = query_of(request, known=(*FILTERS, "by"))
        by = read_groups(given.get("by", ""))
        sums = await self._usage.summary(read_filter(_only_filters(given)), by=by)
        return json_response({"by": by, "data": [sum_object(one) for one in sums]})

    async def export(self, request: Request) -> Response:
        """All records as a file. It is complete before the first byte is sent, so that a failure is told as one."""
        given = query_of(request, known=(*FILTERS, "format"))
        form, which = read_format(given.get("format", "csv")), read_filter(_only_filters(given))
        file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - the response closes it
        try:
            async with self._one_export_at_a_time:
                await write_export(self._usage.rows(which), file, form=form)
        except BaseException:
            file.close()
            raise
        return FileResponse(file, name=f"usage.{form}", media_type=MEDIA_TYPES[form])


def _only_filters(given: Mapping[str, str]) -> Mapping[str, str]:
    return {name: text for name, text in given.items() if name in FILTERS}
