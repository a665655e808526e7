"""The addresses of what the service does now, and what they give."""

from typing import Any, Final

from llm_service.api.rest.openapi.admin import TAG
from llm_service.api.rest.openapi.objects import closed_object, list_of
from llm_service.api.rest.openapi.operations import KEYED_FAILS, failures, get, json_content, response
from llm_service.services import KINDS, LONGEST_INTERVAL_S, LONGEST_S, SERIES

Json = dict[str, Any]

_FAILS: Final = (400, *KEYED_FAILS)
_SERIES: Final = """\
For charts: one figure for each step, of the requests that ended in it, at any worker of this machine. The service takes
samples from when somebody looks first until five minutes after the last look, so the first look finds nothing yet. The
scope `read` is enough; `admin` will do as well."""
_EVENTS: Final = """\
Server-sent events without end, of all workers: `event:` has the kind, `data:` an object with `at`, `worker` among
several, `dropped` where a slow reader has lost so many, and what the kind tells; docs/events.md describes each. While
nothing happens a comment line (`: keep-alive`) comes every `server.keep_alive_s` seconds. The stream ends when other
settings are in force and when the service stops: connect again, as browsers do. It ends with the event `error` when the
key is revoked or expires. A key may listen 20 times at once. The scope `read` is enough; `admin` will do as well."""
LONGER: Final = """\
So many seconds up to now; 900 unless given. What is longer ago is not kept here: `/admin/usage/summary?by=hour` adds up
the records, and a Prometheus that scrapes `/metrics` keeps whatever is counted."""
_EXAMPLE: Final = """\
retry: 2000

event: request
id: 1
data: {"at":"2026-11-26T12:00:00.250Z","request_id":"req_0675fd8a4aa9d5a1f0c2b7e884","model":"fast","cache":"miss"}

"""


def live_paths() -> Json:
    """Figures and events."""
    metrics = get("metricsSeries", "Figures for charts", tag=TAG, gives=json_content("MetricsSeries"), fails=_FAILS)
    longest = int(LONGEST_S)
    metrics["get"] |= {
        "description": _SERIES,
        "parameters": [
            _number("window_s", LONGER, most=longest),
            _number("step_s", "Seconds of a step; 10 unless given, and at least 10 of more than 300.", most=longest),
        ],
    }
    kinds = {"type": "string", "pattern": f"^(?:{'|'.join(KINDS)})(?:,(?:{'|'.join(KINDS)}))*$"}
    events = {
        "operationId": "events",
        "summary": "What happens, as it happens",
        "description": _EVENTS,
        "tags": [TAG],
        "parameters": [
            _query("kinds", f"Some of {', '.join(KINDS)}, with commas; all but `metrics` unless given.", kinds),
            _number("interval_s", "Seconds between two `metrics`; 1 unless given.", most=int(LONGEST_INTERVAL_S)),
        ],
        "responses": {
            "200": response("They come.", {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}),
            **failures((*_FAILS, 429)),
        },
    }
    return {"/admin/metrics": metrics, "/admin/events": {"get": events}}


def live_schemas() -> Json:
    """The body of an answer."""
    moment = {"type": "string", "format": "date-time"}
    figure = {"type": ["number", "null"]}
    fields = {
        "step_s": {"type": "number", "description": "What a step is in fact."},
        "at": list_of(moment) | {"description": "The ends of the steps, the earliest first."},
        "series": closed_object(
            dict.fromkeys(SERIES, list_of(figure)),
            said="A figure for each moment of `at`; null where nothing was to tell.",
        ),
    }
    return {"MetricsSeries": closed_object(fields)}


def _number(name: str, said: str, *, most: int) -> Json:
    return _query(name, said, {"type": "number", "minimum": 1, "maximum": most})


def _query(name: str, said: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": said, "schema": schema}
