"""The address of the audit log, and what it gives."""

from typing import Any, Final

from llm_service.api.acts import WORDS
from llm_service.api.rest.openapi.admin import TAG
from llm_service.api.rest.openapi.objects import closed_object, list_of, ref
from llm_service.api.rest.openapi.operations import KEYED_FAILS, get, json_content
from llm_service.services import ACT_DOORS, ACT_OUTCOMES

Json = dict[str, Any]

_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_DOOR: Final = {
    "enum": [*ACT_DOORS],
    "description": "By which way it came; `command`: the command line, on the database itself; `service`: nobody "
    "asked for it.",
}
_OUTCOME: Final = {
    "enum": [*ACT_OUTCOMES],
    "description": "What came of it; of what `failed` a part may have been done.",
}
_SAID: Final = (
    "Who did what, to what, from where, and what came of it: everything that is changed through `/admin`, GraphQL, "
    "the dashboard and the command line, and what was refused. The same refusals within five minutes are counted in "
    "one entry. Kept for `ledger.audit_retention_days`."
)


def audit_paths() -> Json:
    """The audit log."""
    page = get(
        "listAudit",
        "What operators did, newest first",
        tag=TAG,
        gives=json_content("AuditPage"),
        fails=(400, *KEYED_FAILS),
    )
    page["get"]["description"] = _SAID
    moment = "a moment (RFC 3339) or a day (UTC)"
    page["get"]["parameters"] = [
        {**_query("since", f"From here on: {moment}.", _TEXT), "example": "2026-11-01"},
        {**_query("until", f"Up to here, exclusive: {moment}.", _TEXT), "example": "2026-12-01T00:00:00Z"},
        {**_query("act", f"Such an act: {_acts()}, and others.", _TEXT), "example": "key.revoke"},
        _query("key_id", "By this key; `admin`, `local` and `shell` are no keys.", _TEXT),
        _query("subject", "Done to this: the id of a key, the name of a provider or a rule.", _TEXT),
        _query("outcome", "Of which this came.", {"enum": [*ACT_OUTCOMES]}),
        _query("door", "That came by this way.", {"enum": [*ACT_DOORS]}),
        _query("cursor", "`next_cursor` of the page before.", _TEXT),
        _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    ]
    return {"/admin/audit": page}


def audit_schemas() -> Json:
    """The bodies of answers."""
    entry = {
        "id": _TEXT,
        "at": {"type": "string", "format": "date-time", "description": "When; of several, the last one."},
        "key_id": _MAYBE_TEXT
        | {"description": "Who: the id of a key, `admin`, `local` or `shell`; null: nobody that is known."},
        "key_name": _MAYBE_TEXT | {"description": "What the key was called then; of `shell`, the user of the system."},
        "peer": _MAYBE_TEXT | {"description": "The address that it came from; behind a proxy the proxy's."},
        "door": _DOOR,
        "act": _TEXT | {"description": f"One of {_acts()}, and others; `*`: refusals of many kinds."},
        "subject": _MAYBE_TEXT | {"description": "What it was done to."},
        "fields": list_of(_TEXT) | {"description": "The names of what was given; never the values."},
        "outcome": _OUTCOME,
        "error_code": _MAYBE_TEXT | {"description": "Why it was not done."},
        "request_id": _MAYBE_TEXT,
        "times": {
            "type": "integer",
            "minimum": 1,
            "description": "How many of its kind the entry stands for: refusals, or lost entries (`audit.lost`).",
        },
    }
    page = {"data": list_of(ref("AuditEntry")), "next_cursor": _MAYBE_TEXT}
    return {
        "AuditEntry": closed_object(entry, said="What an operator did or was refused."),
        "AuditPage": closed_object(page),
    }


def _acts() -> str:
    return ", ".join(f"`{word}`" for word in dict.fromkeys(WORDS.values()))


def _query(name: str, said: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": said, "schema": schema}
