"""The addresses of the dashboard: its page, its files, and the session of a browser."""

from typing import Any, Final, get_args

from llm_service.api.dashboard.pages import FILES
from llm_service.api.rest.openapi.objects import closed_object, list_of
from llm_service.api.rest.openapi.operations import KEYED_FAILS, failures, json_content, open_get, response
from llm_service.domain import Scope

Json = dict[str, Any]

TAG: Final = "Dashboard"
_OPENS: Final = """\
Lets a browser in with the admin key, or an api key with the scope `read` or `admin`. The session is a cookie that no
script can read; it lasts 12 hours at most, and no longer than its key. Requests that change something need `csrf` in
the header `X-LLM-CSRF` as well, and pages of other origins can do nothing with it. An address that
shows many wrong keys has to wait."""
_TELLS: Final = "Whose session it is and what that key may ask; 200 also where nobody is signed in."
_MAYBE_TEXT: Final = {"type": ["string", "null"]}


def dashboard_paths() -> Json:
    """The page, its files, the session."""
    text = {"schema": {"type": "string"}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": [*FILES]}}
    page = open_get("dashboard", "The dashboard", tag=TAG, gives={"text/html": text})
    types = dict.fromkeys(media_type for _, media_type in FILES.values())
    file = open_get("getDashboardFile", "A file of it", tag=TAG, gives=dict.fromkeys(types, text), fails=(404, 500))
    tell = open_get("getSession", "Who is signed in", tag=TAG, gives=json_content("BrowserSession"), fails=(500, 503))
    tell["get"]["description"] = _TELLS
    opens = _changes("openSession", "Sign a browser in", fails=(400, 401, 403, 413, 429, 500, 503))
    opens |= {
        "description": _OPENS,
        "security": [],
        "requestBody": {"required": True, "content": json_content("SignIn")},
    }
    closes = _changes("closeSession", "Sign a browser out", fails=KEYED_FAILS)
    return {
        "/dashboard": page,
        "/dashboard/session": {**tell, "post": opens, "delete": closes},
        "/dashboard/{name}": file | {"parameters": [name]},
    }


def dashboard_schemas() -> Json:
    """What a session takes and tells."""
    about = {"signed_in": {"type": "boolean"}, "version": {"type": "string"}, "sandbox": {"type": "boolean"}}
    who = {
        "reason": {"type": "string", "description": "Why nobody is signed in."},
        "key_id": {"type": "string"},
        "name": _MAYBE_TEXT,
        "scopes": list_of({"enum": [*get_args(Scope)]}),
        "ends_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When the session ends at the latest. Null: the service needs no key from this machine.",
        },
        "csrf": _MAYBE_TEXT | {"description": "For the header X-LLM-CSRF of requests that change something."},
        "may": list_of({"type": "string"}) | {"description": "Methods and paths that the key may ask."},
    }
    key = {"key": {"type": "string", "minLength": 1, "maxLength": 4096}}
    return {"SignIn": closed_object(key), "BrowserSession": closed_object(about, who)}


def _changes(name: str, summary: str, *, fails: tuple[int, ...]) -> Json:
    given = {"200": response("Done.", json_content("BrowserSession")), **failures(fails)}
    return {"operationId": name, "summary": summary, "tags": [TAG], "responses": given}
