"""The addresses of providers, and what is told of them there and by ``/health``."""

from typing import Any, Final, get_args

from llm_service.api.rest.openapi.admin import TAG
from llm_service.api.rest.openapi.objects import closed_object, list_of, ref
from llm_service.api.rest.openapi.operations import KEYED_FAILS, failures, get, json_content, response
from llm_service.domain import ProviderState
from llm_service.observability import LogLevel
from llm_service.services import Condition

Json = dict[str, Any]

_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_MAYBE_MOMENT: Final = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_SECONDS: Final = {"type": ["number", "null"], "minimum": 0}
_STATE: Final = {"enum": [*get_args(ProviderState)]}
_NAME: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "Which provider, by its name in the configuration.",
    "schema": _TEXT,
    "example": "deepseek",
}
_CHANGES: Final = """\
In force here when the answer comes, and within a second in every process; kept in the database, so that it outlasts
restarts and reloads. The last word holds. `enabled: false` ends what has no content yet, `drain: true` lets it finish;
`null` puts back what the configuration says."""
_TESTS: Final = """\
Asks the provider's catalogue and account, which costs nothing, also while it is switched off. Where they fail the
answer is 200 as well, with `ok: false`, what is wrong and what to do."""


def provider_paths() -> Json:
    """List, show, switch, try."""
    page = get("listProviders", "The configured providers", tag=TAG, gives=json_content("ProviderList"),
               fails=(400, *KEYED_FAILS))  # fmt: skip
    one = get("getProvider", "One provider", tag=TAG, gives=json_content("Provider"), fails=(*KEYED_FAILS, 404))
    change = {
        "operationId": "changeProvider",
        "summary": "Switch a provider on or off, or drain it",
        "description": _CHANGES,
        "tags": [TAG],
        "requestBody": {"required": True, "content": json_content("ProviderPatch")},
        "responses": {
            "200": response("Done.", json_content("Provider")),
            **failures((400, *KEYED_FAILS, 404, 413)),
        },
    }
    change["requestBody"]["content"]["application/json"]["example"] = {"drain": True}  # type: ignore[index]
    test = {
        "operationId": "testProvider",
        "summary": "Try a provider",
        "description": _TESTS,
        "tags": [TAG],
        "responses": {
            "200": response("What came of it.", json_content("ProviderTrial")),
            **failures((400, *KEYED_FAILS, 404, 413)),
        },
    }
    return {
        "/admin/providers": page,
        "/admin/providers/{name}": {**one, "patch": change, "parameters": [_NAME]},
        "/admin/providers/{name}/test": {"post": test, "parameters": [_NAME]},
    }


def provider_schemas() -> Json:
    """The bodies of requests and answers."""
    override = closed_object({"state": _STATE, "since": _MOMENT}, said="Decided at run time. Null: as configured.")
    provider = {
        "name": _TEXT,
        "kind": _TEXT | {"description": "Which dialect it speaks."},
        "base_url": _TEXT,
        "state": _STATE | {"description": "What holds."},
        "configured": _STATE | {"description": "What the configuration says."},
        "override": {**override, "type": ["object", "null"]},
        "running": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "Requests that run, in all processes while it is drained. Null: other machines are not "
            "heard of.",
        },
        "drained": {
            "type": ["boolean", "null"],
            "description": "Nothing new begins, and nothing runs any more. Null: nothing here, and other machines "
            "that share the database and no store may be at it.",
        },
        "models": {"type": ["integer", "null"], "minimum": 0, "description": "In its catalogue; null: not known."},
        "health": closed_object(_figures()),
    }
    flag = {"type": ["boolean", "null"]}
    trial = {
        "models": _COUNT,
        "balance": _TEXT | {"description": "Amount and currency."},
        "limit_remaining_usd": _TEXT | {"description": "What the key may still spend."},
        "code": _TEXT | {"description": "The error code that a request would meet."},
        "error": _TEXT,
        "problem": _TEXT | {"description": "What is wrong, in words."},
        "remedy": _TEXT | {"description": "What to do about it."},
    }
    level = closed_object({"level": {"enum": [*get_args(LogLevel)]}, "since": _MOMENT, "until": _MAYBE_MOMENT})
    return {
        "Provider": closed_object(provider),
        "ProviderList": closed_object({"data": list_of(ref("Provider")), "next_cursor": {"type": "null"}}),
        "ProviderPatch": {
            **closed_object(
                {},
                {
                    "enabled": flag | {"description": "On or off; null: as configured."},
                    "drain": flag | {"description": "Nothing new, what runs finishes; false or null takes it back."},
                },
            ),
            "minProperties": 1,
        },
        "ProviderTrial": closed_object(
            {"name": _TEXT, "ok": {"type": "boolean"}, "duration_ms": _COUNT}, trial, said="What came of trying it."
        ),
        "ProviderHealth": closed_object({"kind": _TEXT, **_figures()}),
        "Overrides": closed_object(
            {
                "providers": {"type": "object", "additionalProperties": override},
                "log_level": {**level, "type": ["object", "null"]},
            },
            said="What was decided at run time and holds in place of the settings.",
        ),
    }


def _figures() -> Json:
    """Of the answering process; requests and times are those of the last minute."""
    breaker = {"model": _TEXT, "state": {"enum": ["open", "half_open"]}, "cause": _TEXT, "since": _MOMENT}
    balance = closed_object({"amount": _MAYBE_TEXT, "currency": _MAYBE_TEXT, "limit_remaining_usd": _MAYBE_TEXT})
    error = closed_object({"code": _TEXT, "at": _MAYBE_MOMENT})
    return {
        "state": {"enum": [*get_args(Condition)], "description": "Unknown: nobody has asked it yet."},
        "cause": _MAYBE_TEXT | {"description": "Why it is not ok, in words."},
        "since": _MAYBE_MOMENT | {"description": "When it became so, or was first noticed to be so."},
        "requests": _COUNT | {"description": "In the last minute, in the process that answers; so are the others."},
        "error_ratio": {"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "Null: no requests."},
        "first_content_p50_s": _SECONDS | {"description": "Half of the answers began within so many seconds."},
        "first_content_p95_s": _SECONDS,
        "in_flight": _COUNT | {"description": "Requests that run."},
        "waiting": _COUNT | {"description": "Requests that wait for a place."},
        "breaker": {"enum": ["closed", "half_open", "open"], "description": "The worst of its deployments."},
        "breakers": list_of(closed_object(breaker)) | {"description": "Those that are not closed."},
        "balance": {**balance, "type": ["object", "null"], "description": "Decimal texts. Null: it tells of none."},
        "last_error": {**error, "type": ["object", "null"]},
        "checked_at": _MAYBE_MOMENT | {"description": "When one of its free endpoints was asked last."},
    }
