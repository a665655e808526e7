"""The addresses of what was recorded and of where limits stand, and what they give."""

from typing import Any, Final, get_args

from llm_service.api.rest.openapi.admin import TAG as ADMIN
from llm_service.api.rest.openapi.objects import closed_object, list_of, map_of, ref
from llm_service.api.rest.openapi.operations import KEYED_FAILS, get, json_content
from llm_service.domain import BudgetPeriod, CostSource, Direction, FilterAction, LimitKind, LimitScope
from llm_service.filters import FilterType
from llm_service.services import CACHE_STATUSES, GROUPS, STATUSES
from llm_service.storage import Reach

Json = dict[str, Any]

TAG: Final = "Usage"
_FAILS: Final = (400, *KEYED_FAILS)
_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "integer"}
_MAYBE_MS: Final = {"type": ["number", "null"], "description": "Milliseconds; null: the request did not get so far."}
_USD: Final = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "US dollars, exactly."}
_SAVED: Final = _USD | {
    "description": "What the answer cost when it was made, where it came from the cache and cost nothing: US dollars."
}
_WASTED: Final = _USD | {
    "description": "What attempts cost that were not the answer; nobody is charged with it: US dollars, exactly."
}
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The `x-request-id` of an answer, or the provider's own id of it.",
    "schema": {"type": "string"},
    "example": "req_0675fd8a4aa94acc3cd1e26eb8",
}
_READ: Final = "The scope `read` is enough; `admin` will do as well."


def usage_paths() -> Json:
    """Generations, usage and limits."""
    one = "The record of a request: tokens, cost, provider, timings"
    own = "A key sees its own requests; one with the scope `read` or `admin` those of all. A running request has none."
    generation: Json = {"gives": json_content("Generation"), "fails": (*KEYED_FAILS, 404), "tag": TAG}
    page = get(
        "listUsage", "Records and corrections, newest first", tag=ADMIN, gives=json_content("UsagePage"), fails=_FAILS
    )
    sums = get("sumUsage", "Sums of tokens and money", tag=ADMIN, gives=json_content("UsageSums"), fails=_FAILS)
    limits = get("listLimits", "Where limits stand now", tag=ADMIN, gives=json_content("Limits"), fails=(*_FAILS, 404))
    return {
        "/v1/generations/{id}": _said(get("getGeneration", one, **generation), own) | {"parameters": [_ID]},
        "/generations/{id}": _said(get("getGenerationUnversioned", f"{one} (without /v1)", **generation), own)
        | {"parameters": [_ID]},
        "/admin/usage": _said(page, _READ, *_filters(), *_paging()),
        "/admin/usage/summary": _said(sums, f"Corrections are included. {_READ}", _by(), *_filters()),
        "/admin/usage/export": _export(),
        "/admin/limits": _said(
            limits,
            "Of everybody, of models and of providers, as configured; or of the key and the user that are named.",
            _query("key_id", "The limits of this key instead.", _TEXT),
            _query("user", "The limits of this user instead.", _TEXT),
        ),
    }


def usage_schemas() -> Json:
    """The bodies of answers."""
    record = _record()
    fields = record["properties"]
    corrections = list_of(ref("UsageRecord")) | {"description": "What was put right afterwards, as differences."}
    money = {"cost_usd": _USD, "saved_usd": _SAVED, "wasted_usd": _WASTED}
    sums = dict.fromkeys(("requests", "errors", "hits", *_TOKENS), _COUNT) | money
    groups: Json = {str(group): _MAYBE_TEXT for group in GROUPS}
    page = {"data": list_of(ref("UsageRecord")), "next_cursor": _MAYBE_TEXT}
    by = list_of({"enum": [*GROUPS]})
    return {
        "FilterVerdict": _verdict(),
        "UsageRecord": record,
        "Generation": closed_object(
            {**fields, "corrections": corrections}, said="A request as it stands now, corrections applied."
        ),
        "UsagePage": closed_object(page),
        "UsageSum": closed_object(sums, groups, said="Sums of a group, and the values that make it one."),
        "UsageSums": closed_object({"by": by, "data": list_of(ref("UsageSum"))}),
        "Limits": closed_object(
            {
                "data": list_of(ref("LimitState")),
                "reach": {"enum": [*get_args(Reach)], "description": "For whom the limits hold."},
                "stands_in": {
                    "type": "boolean",
                    "description": "The shared store is away, and this process counts alone.",
                },
            }
        ),
        "LimitState": _limit_state(),
    }


_TOKENS: Final = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")


def _record() -> Json:
    return closed_object(
        {
            "request_id": _TEXT,
            "stream_id": _MAYBE_TEXT,
            "at": _MOMENT | {"description": "When the request came in."},
            "key_id": _TEXT,
            "user": _MAYBE_TEXT,
            "tags": map_of(_TEXT),
            "surface": _TEXT,
            "model": _TEXT | {"description": "As it was asked for."},
            "provider": _MAYBE_TEXT,
            "upstream_model": _MAYBE_TEXT,
            "upstream_id": _MAYBE_TEXT | {"description": "The provider's own id of the answer."},
            **dict.fromkeys(_TOKENS, _COUNT),
            "cost_usd": _USD,
            "cost_source": {"enum": [*get_args(CostSource)], "description": "On whose word the cost rests."},
            "price_date": {
                "type": ["string", "null"],
                "format": "date",
                "description": "The day of the price, where the cost was reckoned here.",
            },
            "status": {"enum": [*STATUSES]},
            "error_code": _MAYBE_TEXT,
            "cache": _TEXT | {"description": f"What the cache did: {', '.join(CACHE_STATUSES)}."},
            "cache_key": _MAYBE_TEXT
            | {"description": "The same for requests that the cache takes for the same; null: it was not cacheable."},
            "saved_usd": _SAVED,
            "attempts": _COUNT | {"description": "Calls of providers."},
            "tries": list_of(_tried()) | {"description": "The calls, unless there was one and it answered."},
            "wasted_usd": _WASTED,
            "queue_ms": _MAYBE_MS,
            "first_chunk_ms": _MAYBE_MS,
            "duration_ms": _MAYBE_MS,
            "overhead_ms": _MAYBE_MS,
            "adjusts": _MAYBE_TEXT | {"description": "Of a correction: the request whose figures it changes."},
            "verdicts": list_of(ref("FilterVerdict"))
            | {"description": "What filters found in the prompt and in the answer."},
        },
        said="One request, or a correction of one, whose tokens and cost are differences.",
    )


def _tried() -> Json:
    return closed_object(
        {
            "provider": _TEXT,
            "upstream_model": _TEXT,
            "error_code": _MAYBE_TEXT
            | {
                "description": "Null: it answered; `lost`: another one answered first; `aborted`: nobody waited for it "
                "any more; else why it failed."
            },
            "duration_ms": _MAYBE_MS
            | {"description": "Milliseconds until its first content, its failure, or its end."},
            "wasted_usd": _WASTED,
        }
    )


def _verdict() -> Json:
    return closed_object(
        {
            "filter": _TEXT | {"description": "Its name in the settings."},
            "type": {"enum": [*get_args(FilterType)]},
            "on": {"enum": [*get_args(Direction)]},
            "action": {"enum": [*get_args(FilterAction)]},
            "labels": list_of(_TEXT) | {"description": "What was found, such as `email`; never the text itself."},
            "count": _COUNT | {"description": "In how many places."},
            "failed": {"type": "boolean", "description": "It could not judge; the action is what followed from that."},
        }
    )


def _limit_state() -> Json:
    amount = {"type": ["integer", "string", "null"], "description": "A count; of money US dollars as a decimal text."}
    unknown = f"{amount['description']} Null: it cannot be known now."
    return closed_object(
        {
            "scope": {"enum": [*get_args(LimitScope)]},
            "subject": _MAYBE_TEXT | {"description": "Which key, user, model or provider."},
            "kind": {"enum": [*get_args(LimitKind)]},
            "window_s": {"type": ["integer", "null"], "description": "It slides: in any so many seconds."},
            "period": {"enum": [*get_args(BudgetPeriod), None], "description": "Of a budget."},
            "limit": amount,
            "used": amount | {"description": unknown},
            "reserved": amount | {"description": f"By requests that still run. {unknown}"},
            "remaining": amount | {"description": unknown},
        },
        {"resets_at": _MOMENT | {"description": "When the period of a budget ends."}},
    )


def _export() -> Json:
    csv = {"schema": {"type": "string", "description": "A line for each record, RFC 4180, UTF-8."}}
    parquet = {"schema": {"type": "string", "contentMediaType": "application/vnd.apache.parquet"}}
    path = get(
        "exportUsage",
        "All records as a file",
        tag=ADMIN,
        gives={"text/csv": csv, "application/vnd.apache.parquet": parquet},
        fails=_FAILS,
    )
    said = (
        "The columns are the fields of a record. In CSV a text that a spreadsheet would take for a formula begins with "
        f"an apostrophe. Parquet wants the package duckdb beside the service. {_READ}"
    )
    kinds = {"enum": ["csv", "parquet"], "default": "csv"}
    return _said(path, said, _query("format", "What kind of file.", kinds), *_filters())


def _said(path: Json, said: str, *parameters: Json) -> Json:
    more = {"description": said} | ({"parameters": [*parameters]} if parameters else {})
    return {"get": {**path["get"], **more}}


def _by() -> Json:
    known = ", ".join(f"`{group}`" for group in GROUPS)
    said = f"What to group by: some of {known}, separated by commas. A record counts once for each of its tags."
    return {**_query("by", said, _TEXT), "example": "key,model,day"}


def _filters() -> list[Json]:
    moment = "a moment (RFC 3339) or a day (UTC)"
    return [
        {**_query("since", f"From here on: {moment}.", _TEXT), "example": "2026-11-01"},
        {**_query("until", f"Up to here, exclusive: {moment}.", _TEXT), "example": "2026-12-01T00:00:00Z"},
        _query("key_id", "Of this key.", _TEXT),
        _query("user", "Of this user.", _TEXT),
        _query("model", "Asked for by this name.", _TEXT),
        _query("provider", "Sent to this provider.", _TEXT),
        {**_query("tag", "With this tag, as `name=value`.", _TEXT), "example": "team=support"},
        _query("status", "That ended so.", {"enum": [*STATUSES]}),
        _query("cache", "For which the cache did this.", {"enum": [*CACHE_STATUSES]}),
    ]


def _paging() -> list[Json]:
    size = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    return [
        _query("cursor", "`next_cursor` of the page before.", _TEXT),
        _query("limit", "How many records at most.", size),
    ]


def _query(name: str, said: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": said, "schema": schema}
