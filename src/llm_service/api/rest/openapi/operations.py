"""The forms of operations that repeat."""

from collections.abc import Sequence
from typing import Any, Final

from llm_service.api.rest.openapi.failures import response_name
from llm_service.api.rest.openapi.headers import ON_EVERY_RESPONSE, described

Json = dict[str, Any]

KEYED_FAILS: Final = (401, 403, 500, 503)


def get(name: str, summary: str, *, tag: str, gives: Json, fails: Sequence[int] = KEYED_FAILS) -> Json:
    responses = {"200": response("Here it is.", gives), **failures(fails)}
    return {"get": {"operationId": name, "summary": summary, "tags": [tag], "responses": responses}}


def open_get(name: str, summary: str, *, gives: Json, tag: str = "Health", fails: Sequence[int] = (500,)) -> Json:
    """An address that wants no key."""
    path = get(name, summary, tag=tag, gives=gives, fails=fails)
    path["get"]["security"] = []
    return path


def response(said: str, content: Json, *, headers: Sequence[str] = ON_EVERY_RESPONSE) -> Json:
    return {"description": said, "headers": described(headers), "content": content}


def failures(statuses: Sequence[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/{response_name(status)}"} for status in statuses}


def json_content(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
