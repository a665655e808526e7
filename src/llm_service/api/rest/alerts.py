"""``/admin/alerts``: what fires, what happened, silences, and tests of who is told."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.query import query_of
from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import caller_of, count_of, json_body
from llm_service.runtime import Clock
from llm_service.services import AlertAdmin, alerts_object, happening_object, silence_object, trial_object

PAGE_EVENTS: Final = 100
MOST_PAGE_EVENTS: Final = 1000


class AlertRoutes:
    """Every process answers, whichever looks at the rules."""

    def __init__(self, alerts: AlertAdmin, clock: Clock) -> None:
        self._alerts = alerts
        self._clock = clock

    async def list(self, request: Request) -> Response:
        """What fires and may soon, and all rules."""
        query_of(request, known=())
        return json_response(alerts_object(await self._alerts.seen()))

    async def history(self, request: Request) -> Response:
        """A page of what happened, newest first."""
        given = query_of(request, known=("cursor", "limit", "rule"))
        count = count_of(request, "limit", default=PAGE_EVENTS, at_most=MOST_PAGE_EVENTS)
        page = await self._alerts.history(rule=given.get("rule"), cursor=given.get("cursor"), count=count)
        return json_response({"data": [happening_object(one) for one in page.events], "next_cursor": page.next_cursor})

    async def silences(self, request: Request) -> Response:
        """All silences that are kept."""
        query_of(request, known=())
        now = self._clock.now()
        data = [silence_object(one, now=now) for one in await self._alerts.silences()]
        return json_response({"data": data, "next_cursor": None})

    async def silence(self, request: Request) -> Response:
        """A new silence."""
        silence = await self._alerts.silence(await json_body(request), caller_of(request))
        request.state.acted_on = silence.id
        return json_response(silence_object(silence, now=self._clock.now()))

    async def end_silence(self, request: Request) -> Response:
        """A silence, ended."""
        ended = await self._alerts.end_silence(str(request.path_params["id"]))
        return json_response(silence_object(ended, now=self._clock.now()))

    async def test(self, request: Request) -> Response:
        """What came of a test notice, by notifier."""
        rule = str(request.path_params["rule"])
        return json_response(trial_object(rule, await self._alerts.test(rule)))
