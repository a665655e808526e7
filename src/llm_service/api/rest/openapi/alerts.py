"""The addresses under ``/admin/alerts``, and what they take and give."""

from typing import Any, Final, get_args

from llm_service.alerts import KINDS
from llm_service.api.rest.openapi.admin import TAG
from llm_service.api.rest.openapi.objects import closed_object, list_of, map_of, ref
from llm_service.api.rest.openapi.operations import KEYED_FAILS, failures, get, json_content, response
from llm_service.storage import Reach

Json = dict[str, Any]

_FAILS: Final = (400, *KEYED_FAILS)
_READ: Final = "The scope `read` is enough; `admin` will do as well."
_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_MAYBE_MOMENT: Final = {"type": ["string", "null"], "format": "date-time"}
_NUMBER: Final = {"type": "number"}
_SEVERITY: Final = {"enum": ["critical", "warning", "info"]}
_LABELS: Final = map_of(_TEXT)
_SILENCE_EXAMPLE: Final = {
    "matchers": [{"name": "rule", "value": "provider-down"}, {"name": "provider", "value": "deepseek"}],
    "duration_s": 7200,
    "comment": "Announced maintenance.",
}


def alert_paths() -> Json:
    """Alerts, their history, silences and tests."""
    seen = get("listAlerts", "What fires, and every rule", tag=TAG, gives=json_content("AlertList"), fails=_FAILS)
    seen["get"]["description"] = _READ
    history = get(
        "alertHistory",
        "What happened to alerts, newest first",
        tag=TAG,
        gives=json_content("AlertHistory"),
        fails=_FAILS,
    )
    history["get"]["description"] = _READ
    history["get"]["parameters"] = [
        _query("cursor", "`next_cursor` of the page before.", _TEXT),
        _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        _query("rule", "Of this rule alone; `*`: notices of several rules.", _TEXT),
    ]
    silences = get("listSilences", "Silences", tag=TAG, gives=json_content("SilenceList"), fails=_FAILS)
    silence = _change("createSilence", "Tell nobody of some alerts for a while", gives="Silence", fails=(413,))
    silence["requestBody"] = {"required": True, "content": json_content("NewSilence")}
    silence["requestBody"]["content"]["application/json"]["example"] = _SILENCE_EXAMPLE
    end = _change("endSilence", "End a silence now", gives="Silence", fails=(404,))
    test = _change("testAlert", "Send a test notice to everybody whom a rule tells", gives="AlertTrial", fails=(404,))
    return {
        "/admin/alerts": seen,
        "/admin/alerts/history": history,
        "/admin/alerts/silences": {**silences, "post": silence},
        "/admin/alerts/silences/{id}": {"delete": end, "parameters": [_path("id", "Which silence.")]},
        "/admin/alerts/{rule}/test": {"post": test, "parameters": [_path("rule", "The rule's name.")]},
    }


def alert_schemas() -> Json:
    """The bodies of requests and answers."""
    alert = {
        "rule": _TEXT,
        "labels": _LABELS,
        "severity": _SEVERITY,
        "state": {"enum": ["pending", "firing"]},
        "since": _MOMENT | {"description": "From when on it holds."},
        "fired_at": _MAYBE_MOMENT | {"description": "Null: it has not held for long enough yet."},
        "value": _NUMBER | {"description": "What was measured, in the unit of the rule's kind (docs/alerts.md)."},
        "summary": _TEXT | {"description": "What is wrong, and what to do."},
        "silenced_by": list_of(_TEXT) | {"description": "Silences because of which nobody is told."},
        "notify": list_of(_TEXT) | {"description": "The notifiers that are told."},
    }
    rule = {
        "name": _TEXT,
        "kind": {"enum": [*KINDS]},
        "severity": _SEVERITY,
        "state": {"enum": ["inactive", "pending", "firing"]},
        "for_s": _NUMBER,
        "keep_firing_for_s": _NUMBER,
        "labels": _LABELS,
        "notify": list_of(_TEXT),
        "goes_by": map_of({}) | {"description": "Bounds and windows, by the settings' names; spans in seconds."},
    }
    event = {
        "id": _TEXT,
        "at": _MOMENT,
        "happened": {"enum": ["firing", "resolved", "notified", "failed"], "description": "The last two: to a notice."},
        "rule": _TEXT | {"description": "`*`: a notice of several rules."},
        "labels": _LABELS,
        "severity": _SEVERITY,
        "summary": _MAYBE_TEXT,
        "value": {"type": ["number", "null"]},
        "notifier": _MAYBE_TEXT | {"description": "Who was told, or could not be."},
        "rules": list_of(_TEXT) | {"description": "The rules of the alerts that a notice told of."},
        "error": _MAYBE_TEXT | {"description": "Why a notice was not delivered."},
    }
    matcher = closed_object(
        {
            "name": _TEXT | {"description": "`rule`, `severity`, or the name of a label."},
            "value": _TEXT | {"description": "`*` stands for any text. A label that there is not is empty."},
        },
        {"operator": {"enum": ["=", "!="], "default": "="}},
    )
    silence = {
        "id": _TEXT,
        "state": {"enum": ["pending", "active", "expired"]},
        "matchers": list_of(matcher),
        "starts_at": _MOMENT,
        "ends_at": _MOMENT,
        "created_by": _TEXT,
        "comment": _TEXT,
    }
    new_silence = {
        "starts_at": _MAYBE_MOMENT | {"description": "Now, unless given."},
        "ends_at": _MAYBE_MOMENT | {"description": "Either this or duration_s; at most a year from now."},
        "duration_s": {"type": ["number", "null"], "minimum": 1, "maximum": 31_622_400},
        "comment": _MAYBE_TEXT,
        "created_by": _MAYBE_TEXT | {"description": "Unless given, whose key it is."},
    }
    matchers = list_of(matcher) | {"minItems": 1, "maxItems": 32, "description": "All must be met."}
    told = closed_object({"name": _TEXT, "delivered": {"type": "boolean"}, "cause": _MAYBE_TEXT})
    seen = {
        "data": list_of(ref("Alert")) | {"description": "Those that fire first, the worst first."},
        "next_cursor": {"type": "null"},
        "rules": list_of(ref("AlertRule")),
        "looked_at": _MAYBE_MOMENT | {"description": "When the rules were last looked at; null: never."},
        "alone": {
            "type": "boolean",
            "description": "The database does not answer, and this machine looks at its own figures by itself.",
        },
        "reach": {"enum": [*get_args(Reach)], "description": "For whom what is said holds."},
    }
    next_cursor = {"type": ["string", "null"]}
    return {
        "Alert": closed_object(alert),
        "AlertRule": closed_object(rule),
        "AlertList": closed_object(seen),
        "AlertEvent": closed_object(event),
        "AlertHistory": closed_object({"data": list_of(ref("AlertEvent")), "next_cursor": next_cursor}),
        "Silence": closed_object(silence),
        "SilenceList": closed_object({"data": list_of(ref("Silence")), "next_cursor": {"type": "null"}}),
        "NewSilence": closed_object({"matchers": matchers}, new_silence),
        "AlertTrial": closed_object({"rule": _TEXT, "notifiers": list_of(told)}, said="Who got the test notice."),
    }


def _change(name: str, summary: str, *, gives: str, fails: tuple[int, ...]) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "tags": [TAG],
        "responses": {"200": response("Done.", json_content(gives)), **failures((*_FAILS, *fails))},
    }


def _path(name: str, said: str) -> Json:
    return {"name": name, "in": "path", "required": True, "description": said, "schema": _TEXT}


def _query(name: str, said: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": said, "schema": schema}
