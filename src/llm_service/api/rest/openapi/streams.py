"""The addresses of a stream that is continued or cancelled, and what they give."""

from typing import Any, Final

from llm_service.api.rest.openapi.examples import CHAT_STREAM
from llm_service.api.rest.openapi.headers import ON_STREAMS, REQUEST_HEADERS
from llm_service.api.rest.openapi.objects import closed_object
from llm_service.api.rest.openapi.operations import KEYED_FAILS, failures, json_content, response

Json = dict[str, Any]

TAG: Final = "Streams"
_RESUME_FAILS: Final = (400, *KEYED_FAILS, 404, 429, 502, 504)
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The `x-llm-stream-id` of the answer; the part of its events' ids before the point.",
    "schema": {"type": "string"},
    "example": "str_0675fd8a4aa9d5a1f0c2b7e884",
}
_AFTER: Final = {
    "name": "after",
    "in": "query",
    "description": "The last event that was had, by its number or its id; goes before `Last-Event-ID`. Neither: from "
    "the beginning.",
    "schema": {"type": "string"},
    "example": "12",
}
_LAST_EVENT_ID: Final = {
    **REQUEST_HEADERS["LastEventId"],
    "description": "The id of the last event that was had, as browsers send it by themselves.",
}
_RESUMES: Final = """\
The events after `after`, the same ones with the same ids, and then whatever follows; `data: [DONE]` is last, or the
error that ended the stream. What it ended with before its first event comes as a status. For the key that asked alone:
to all others the stream is not there. An ended one is kept for `streams.retention_s`; of a long one the beginning may
be gone (`streams.max_bytes`)."""
_CANCELS: Final = """\
Its readers get the error `stream_cancelled`, and the provider's call ends, unless another request reads the same
answer. What had come is recorded and paid. `cancelled` is false for a stream that had ended already."""


def stream_paths() -> Json:
    """Streams, with and without ``/v1``."""
    return {
        f"{prefix}/streams/{{id}}": {
            "get": _resume(f"resumeStream{suffix}", f"Go on with a stream{note}"),
            "delete": _cancel(f"cancelStream{suffix}", f"End a stream{note}"),
            "parameters": [_ID],
        }
        for prefix, suffix, note in (("/v1", "", ""), ("", "Unversioned", " (without /v1)"))
    }


def stream_schemas() -> Json:
    """The body of an answer."""
    said = "Whether it was running, and is cancelled now."
    fields = {"id": {"type": "string"}, "cancelled": {"type": "boolean", "description": said}}
    return {"CancelledStream": closed_object(fields)}


def _resume(name: str, summary: str) -> Json:
    events = {"text/event-stream": {"schema": {"type": "string"}, "example": CHAT_STREAM}}
    return {
        "operationId": name,
        "summary": summary,
        "description": _RESUMES,
        "tags": [TAG],
        "parameters": [_AFTER, _LAST_EVENT_ID],
        "responses": {"200": response("The rest.", events, headers=ON_STREAMS), **failures(_RESUME_FAILS)},
    }


def _cancel(name: str, summary: str) -> Json:
    done = response("Done.", json_content("CancelledStream"))
    return {
        "operationId": name,
        "summary": summary,
        "description": _CANCELS,
        "tags": [TAG],
        "responses": {"200": done, **failures((*KEYED_FAILS, 404))},
    }
