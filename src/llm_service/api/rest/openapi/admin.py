"""The addresses under ``/admin``, and what they take and give."""

from typing import Any, Final, get_args

from llm_service.api.rest.openapi.objects import closed_object, list_of, map_of, ref
from llm_service.api.rest.openapi.operations import KEYED_FAILS, failures, get, json_content, response
from llm_service.domain import BudgetPeriod, Scope
from llm_service.observability import LogLevel

Json = dict[str, Any]

TAG: Final = "Admin"
_CHANGE_FAILS: Final = (400, *KEYED_FAILS, 413)
_MOMENT: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 256}
_SCOPES: Final = {"type": "array", "minItems": 1, "items": {"enum": [*get_args(Scope)]}}
_TAGS: Final = {
    "type": "object",
    "maxProperties": 32,
    "propertyNames": {"pattern": "^[A-Za-z0-9._-]{1,64}$"},
    "additionalProperties": _TEXT,
}
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Which key.",
    "schema": {"type": "string"},
    "example": "key_0675fd8a4aa94acc3cd1e26eb8",
}
_PAGE: Final = (
    {
        "name": "cursor",
        "in": "query",
        "description": "`next_cursor` of the page before.",
        "schema": {"type": "string"},
    },
    {
        "name": "limit",
        "in": "query",
        "description": "How many keys at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    },
    {
        "name": "order",
        "in": "query",
        "description": "Which come first, by their making.",
        "schema": {"enum": ["oldest", "newest"], "default": "oldest"},
    },
    {
        "name": "find",
        "in": "query",
        "description": "Only keys whose name, user or id contains this.",
        "schema": {"type": "string", "minLength": 1},
    },
    {
        "name": "ids",
        "in": "query",
        "description": "Just these keys, in any order: up to 200 ids, with commas, and no other parameter.",
        "schema": {"type": "string", "minLength": 1},
    },
)
KEY_EXAMPLE: Final = {
    "name": "Chat of the support team",
    "models": ["deepseek/*", "fast"],
    "requests_per_minute": 60,
    "budget_usd": "25.00",
    "budget_period": "month",
}


def admin_paths() -> Json:
    """Keys and configuration."""
    page = get("listKeys", "Api keys, page by page", tag=TAG, gives=json_content("KeyList"), fails=(400, *KEYED_FAILS))
    page["get"]["parameters"] = [*_PAGE]
    one = get("getKey", "One api key", tag=TAG, gives=json_content("ApiKey"), fails=(*KEYED_FAILS, 404))
    create = _change("createKey", "Make an api key; its secret is shown this once", takes="NewKey", gives="CreatedKey")
    update = _change(
        "updateKey", "Change an api key; null puts a field back to its default", takes="KeyPatch", gives="ApiKey"
    )
    revoke = _change("revokeKey", "Revoke an api key, for good", gives="ApiKey")
    rotate = _change("rotateKey", "Give an api key a new secret", takes="KeyRotation", gives="CreatedKey")
    rotate["requestBody"]["required"] = False
    create["requestBody"]["content"]["application/json"]["example"] = KEY_EXAMPLE
    config = get("getConfig", "The settings in force, secrets masked", tag=TAG, gives=json_content("Configuration"))
    reload = _change(
        "reloadConfig", "Read the settings again, on every worker or on none; a mistake leaves all as it is",
        gives="Generation",
    )  # fmt: skip
    change = _change(
        "changeConfig", "Change the level of the log at run time, in every process within a second",
        takes="ConfigurationPatch", gives="Configuration",
    )  # fmt: skip
    change["requestBody"]["content"]["application/json"]["example"] = {"log_level": "debug", "log_level_for_s": 600}
    change["responses"] |= failures((503,))
    return {
        "/admin/keys": {**page, "post": create},
        "/admin/keys/{id}": {**one, "patch": _of_one(update), "delete": _of_one(revoke), "parameters": [_ID]},
        "/admin/keys/{id}/rotate": {"post": _of_one(rotate), "parameters": [_ID]},
        "/admin/config": {**config, "patch": change},
        "/admin/config/reload": {"post": reload},
    }


def admin_schemas() -> Json:
    """The bodies of requests and answers."""
    fields = _fields()
    key = closed_object(
        {
            "id": {"type": "string"},
            "status": {"enum": ["active", "expired", "revoked"]},
            **fields,
            "created_at": _MOMENT,
            "revoked_at": _or_null(_MOMENT),
            "version": {"type": "integer", "minimum": 1, "description": "Grows by one with every change."},
        },
        said="An api key, without its secret.",
    )
    secret = {"type": "string", "description": "What the caller sends, `llms_...`. It is shown this once."}
    nullable = {name: schema if name == "name" else _or_null(schema) for name, schema in fields.items()}
    version = {"type": ["integer", "null"], "description": "Change the key only if this is its version."}
    overlap = {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 31_536_000,
        "default": 86_400,
        "description": "For how many seconds the former secrets go on working; 0 ends them now.",
    }
    others = {name: schema for name, schema in nullable.items() if name != "name"}
    return {
        "ApiKey": key,
        "CreatedKey": closed_object({**key["properties"], "key": secret}, said="An api key with its new secret."),
        "KeyList": closed_object({"data": list_of(ref("ApiKey")), "next_cursor": {"type": ["string", "null"]}}),
        "NewKey": closed_object({"name": fields["name"]}, others, said="What is not given, or null, has its default."),
        "KeyPatch": closed_object({}, {**nullable, "version": version}, said="What is not given stays (RFC 7396)."),
        "KeyRotation": closed_object({}, {"overlap_s": overlap}),
        "Generation": closed_object(
            {"generation": {"type": "integer", "minimum": 1}, "loaded_at": _MOMENT},
            said="The settings in force: 1 from the start of the service, one more with each reload.",
        ),
        "ConfigurationPatch": closed_object(
            {"log_level": {"enum": [*get_args(LogLevel), None], "description": "Null: as configured."}},
            {
                "log_level_for_s": {
                    "type": ["number", "null"],
                    "exclusiveMinimum": 0,
                    "maximum": 604_800,
                    "description": "For how many seconds; null: until it is changed again, also through restarts.",
                }
            },
        ),
        "Configuration": closed_object(
            {"settings": map_of({}), "overrides": ref("Overrides")}, said="As in the file, with all defaults."
        ),
    }


def _fields() -> Json:
    """What people set, in the form of an answer."""
    return {
        "name": _TEXT | {"description": "What the key is for."},
        "user": _or_null(_TEXT) | {"description": "Whose requests these are, whatever a request itself says."},
        "scopes": _SCOPES | {"description": "`inference` unless given. No scope includes another."},
        "models": _or_null(_list(256, {"type": "string", "pattern": r"^[!-)+-~]{0,255}[!-~]$"}))
        | {"description": "Names that may be asked for; a `*` at the end stands for anything. Null: all."},
        "requests_per_minute": _count(10**9, "In any 60 seconds."),
        "tokens_per_minute": _count(10**12, "Input and output, in any 60 seconds."),
        "concurrent_requests": _count(10**9, "At the same time."),
        "budget_usd": {
            "type": ["string", "null"],
            "pattern": r"^[0-9]{1,7}(\.[0-9]{1,9})?$",
            "description": "US dollars in a period, as a decimal text.",
        },
        "budget_period": {
            "enum": [*get_args(BudgetPeriod)],
            "description": "Of the calendar in UTC; `month` if unset.",
        },
        "tags": _TAGS | {"description": "Written into the record of every request."},
        "on_disconnect": {
            "enum": ["cancel", "finish", None],
            "description": "What becomes of an answer whose reader leaves; null: as configured.",
        },
        "semantic_cache": {
            "type": ["boolean", "null"],
            "description": "Whether its questions may be answered by likeness (`cache.semantic`); unless given, not.",
        },
        "expires_at": _or_null(_MOMENT) | {"description": "In the future; null: never."},
    }


def _count(most: int, said: str) -> Json:
    return {"type": ["integer", "null"], "minimum": 1, "maximum": most, "description": said}


def _list(most: int, items: Json) -> Json:
    return {"type": "array", "minItems": 1, "maxItems": most, "items": items}


def _or_null(schema: Json) -> Json:
    if "enum" in schema:
        return {**schema, "enum": [*dict.fromkeys([*schema["enum"], None])]}
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": [*dict.fromkeys([*kinds, "null"])]}


def _change(name: str, summary: str, *, gives: str, takes: str | None = None) -> Json:
    operation = {
        "operationId": name,
        "summary": summary,
        "tags": [TAG],
        "responses": {"200": response("Done.", json_content(gives)), **failures(_CHANGE_FAILS)},
    }
    if takes is not None:
        operation["requestBody"] = {"required": True, "content": json_content(takes)}
    return operation


def _of_one(operation: Json) -> Json:
    """The operation on a key that may not be there."""
    return {**operation, "responses": {**operation["responses"], **failures((404,))}}
