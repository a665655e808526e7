"""``/v1/streams/{id}``: a stream is continued from where its reader left it, or cancelled."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.call_options import Place
from llm_service.api.client import Client
from llm_service.api.options import ServerOptions
from llm_service.api.rest.continued import Continued, Line
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.api.rest.open_streams import OpenStreams
from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import caller_of
from llm_service.api.resuming import Resumed, Resuming
from llm_service.runtime import Clock, Tasks
from llm_service.services import Authenticator

STREAM_BLOCK: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n"
)
_LAST_EVENT_ID: Final = Place("Last-Event-ID", "Last-Event-ID")


class StreamRoutes:
    """For the owner of a stream alone: to all others it is not there."""

    def __init__(
        self,
        resuming: Resuming,
        *,
        options: ServerOptions,
        authenticator: Authenticator,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._resuming = resuming
        self._line = Line(
            watch=HangUpWatch(clock=clock, tasks=tasks),
            open=OpenStreams(authenticator),
            keep_alive_s=options.keep_alive_s,
            clock=clock,
            tasks=tasks,
        )

    async def resume(self, request: Request) -> Response:
        """The events after ``after`` (a number or a cursor) or ``Last-Event-ID``, and whatever follows."""
        given = query_of(request, known=("after",)).get("after") or request.headers.get("last-event-id")
        owner = caller_of(request).key_id
        resumed = await self._resuming.after(request.path_params["id"], given, owner=owner)
        return self._continued(resumed)

    async def cancel(self, request: Request) -> Response:
        """End the stream; the generation too, unless others read it."""
        stream_id, running = await self._resuming.cancel(request.path_params["id"], owner=caller_of(request).key_id)
        return json_response({"id": stream_id, "cancelled": running})

    async def continue_(self, cursor: str, *, owner: str, head: bytes, client: Client) -> None:
        """Respond with what follows a cursor. Raises InvalidValue, NotFound, and what ended it before it began.

        ``head``: header lines beside those of every stream.
        """
        resumed = await self._resuming.at(cursor, _LAST_EVENT_ID, owner=owner)
        await self._continued(resumed, head=head).send(client)

    def _continued(self, resumed: Resumed, *, head: bytes = b"") -> Continued:
        return Continued(resumed, self._resuming, self._line, head=STREAM_BLOCK + head)
