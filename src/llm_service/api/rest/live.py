"""``/admin/metrics`` and ``/admin/events``: what the service does now, as series for charts and as it happens."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.errors import error_object
from llm_service.api.http_request import Receive, Scope, Send, credentials_of, headers_of
from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import caller_of, number_of
from llm_service.api.serving import Serving
from llm_service.api.still_allowed import LOOK_S, end_once_refused, may_listen
from llm_service.domain import KeyRevoked
from llm_service.services import (
    LONGEST_INTERVAL_S,
    LONGEST_S,
    Authenticator,
    Events,
    Heard,
    Listening,
    MetricsHistory,
    event_object,
    read_kinds,
)

WINDOW_S: Final = 900.0
STEP_S: Final = 10.0
BEGINNING: Final = b"retry: 2000\n\n"
"""How soon a browser comes back by itself, in milliseconds. It is also what makes a proxy pass the head on."""
KEEP_ALIVE: Final = b": keep-alive\n"
"""No blank line: behind an event's ``id`` that breaks a common client."""
HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
REVOKED: Final = "The api key was revoked."
BEYOND: Final = (
    "These figures are kept for an hour. For a longer time GET /admin/usage/summary?by=hour (or by=day) adds up the "
    "records, and a Prometheus that scrapes /metrics keeps whatever is counted."
)
"""What to do instead of asking for more."""


class LiveRoutes:
    """Reads alone."""

    def __init__(
        self,
        events: Events,
        history: MetricsHistory,
        *,
        serving: Serving,
        authenticator: Authenticator,
        keep_alive_s: float,
    ) -> None:
        self._events = events
        self._history = history
        self._serving = serving
        self._authenticator = authenticator
        self._keep_alive_s = keep_alive_s

    async def metrics(self, request: Request) -> Response:
        """The figures of the last ``window_s``, one for each ``step_s``."""
        query_of(request, known=("window_s", "step_s"))
        window_s = number_of(request, "window_s", default=WINDOW_S, at_least=1, at_most=LONGEST_S, beyond=BEYOND)
        step_s = number_of(request, "step_s", default=STEP_S, at_least=1, at_most=LONGEST_S)
        return json_response(await self._history.series(window_s=window_s, step_s=step_s))

    async def events(self, request: Request) -> Response:
        """Events of some kinds, until the client leaves, its key is revoked, or other settings are in force."""
        given = query_of(request, known=("kinds", "interval_s"))
        interval_s = number_of(request, "interval_s", default=1, at_least=1, at_most=LONGEST_INTERVAL_S)
        kinds, caller = read_kinds(given.get("kinds")), caller_of(request)
        if request.method == "HEAD":
            return _endless(Response(headers=HEADERS))
        until = None if caller.key is None else caller.key.expires_at
        listening = self._events.listen(kinds, owner=caller.key_id, until=until, interval_s=interval_s)
        return EventStream(
            listening,
            self._serving,
            self._authenticator,
            keep_alive_s=self._keep_alive_s,
            may_still=partial(
                may_listen, self._authenticator, credentials_of(request.scope, headers_of(request.scope))
            ),
        )


class EventStream(Response):
    """The events of one listener, as many in one write as there are."""

    def __init__(
        self,
        listening: Listening,
        serving: Serving,
        authenticator: Authenticator,
        *,
        keep_alive_s: float,
        may_still: Callable[[], Awaitable[None]],
        look_s: float = LOOK_S,
    ) -> None:
        """``may_still``: raises the refusal once whoever listens may do so no longer; asked each ``look_s``."""
        super().__init__(headers=HEADERS)
        _endless(self)
        self._listening = listening
        self._serving = serving
        self._authenticator = authenticator
        self._keep_alive_s = keep_alive_s
        self._may_still = may_still
        self._look_s = look_s
        self._number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listening = self._listening
        gone = asyncio.ensure_future(_until_gone(receive))
        refused = asyncio.ensure_future(end_once_refused(self._may_still, listening.end, look_s=self._look_s))
        self._serving.stands(listening.end)
        self._authenticator.on_revoked(self._revoked)
        try:
            if self._serving.retired:  # while the request was read
                listening.end()
            with suppress(OSError):  # the client is gone
                await self._write(scope, send, gone)
        finally:
            gone.cancel()
            refused.cancel()
            self._authenticator.off_revoked(self._revoked)
            self._serving.fell(listening.end)
            listening.close()

    async def _write(self, scope: Scope, send: Send, gone: "asyncio.Future[None]") -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        piece = BEGINNING
        while piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await self._next(gone)
        if gone.done():
            return
        error = self._listening.error
        last = b""
        if error is not None:
            said = error_object(error, request_id=scope["state"]["request_id"])
            last = b"event: error\ndata: %b\n\n" % orjson.dumps(said)
        await send({"type": "http.response.body", "body": last})

    async def _next(self, gone: "asyncio.Future[None]") -> bytes:
        """What is written next, as soon as there is something, or it is time; nothing when it is over."""
        listening = self._listening
        waiting = asyncio.ensure_future(listening.wait())
        try:
            await asyncio.wait({waiting, gone}, timeout=self._keep_alive_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if gone.done() or listening.over:
            return b""
        return self._told(listening.take()) or KEEP_ALIVE

    def _told(self, heard: Sequence[Heard]) -> bytes:
        pieces = []
        for one in heard:
            self._number += 1
            data = orjson.dumps(event_object(one), default=str)
            pieces.append(b"event: %b\nid: %d\ndata: %b\n\n" % (one.event.kind.encode(), self._number, data))
        return b"".join(pieces)

    def _revoked(self, key_id: str) -> None:
        if key_id == self._listening.owner:
            self._listening.end(KeyRevoked(REVOKED))


def _endless(response: Response) -> Response:
    """Without the length that Starlette takes it to have."""
    del response.headers["content-length"]
    return response


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
