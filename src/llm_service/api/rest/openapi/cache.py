"""The address of the response cache, and what it gives."""

from typing import Any, Final, get_args

from llm_service.api.rest.openapi.admin import TAG
from llm_service.api.rest.openapi.objects import closed_object, list_of, ref
from llm_service.api.rest.openapi.operations import KEYED_FAILS, failures, get, json_content, response
from llm_service.cache import SemanticMode
from llm_service.services import CACHE_STATUSES, STATS_GROUPS
from llm_service.storage import Reach

Json = dict[str, Any]

_FAILS: Final = (400, *KEYED_FAILS)
_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MOMENT: Final = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_READS: Final = """\
How full the cache is now, and what it did for the requests of a period, by their records. The scope `read` is enough;
`admin` will do as well."""
_PURGES: Final = """\
Exactly one of the parameters says which answers go, and `older_than_s` may narrow it. No request that comes afterwards
gets one of them, from any process, and answers that are being made now are not kept. `key_id` and `user` need answers
that belong to one (`cache.scope`)."""


def cache_paths() -> Json:
    """Statistics and purges."""
    stats = get("cacheStats", "What the response cache does", tag=TAG, gives=json_content("CacheStats"), fails=_FAILS)
    stats["get"] |= {"description": _READS, "parameters": _stats_parameters()}
    purge = {
        "operationId": "purgeCache",
        "summary": "Forget kept answers",
        "description": _PURGES,
        "tags": [TAG],
        "parameters": _purge_parameters(),
        "responses": {"200": response("Done.", json_content("Purged")), **failures(_FAILS)},
    }
    return {"/admin/cache": {**stats, "delete": purge}}


def cache_schemas() -> Json:
    """The bodies of answers."""
    figures = {
        "requests": _COUNT | {"description": "All, also those that the cache had nothing to do with."},
        "hits": _COUNT | {"description": "Answered without a call of their own: hit, semantic, coalesced, stale."},
        "hit_ratio": {
            "type": ["number", "null"],
            "description": "Of 1: hits among hits and misses. Null: there were none of either.",
        },
        "by_status": closed_object(dict.fromkeys(CACHE_STATUSES, _COUNT)),
        "saved_usd": {"type": "string", "description": "What the answers of hits had cost: US dollars, exactly."},
    }
    store = {
        "entries": _COUNT | {"description": "Answers; those that are over count until they are swept."},
        "bytes": _COUNT,
        "max_bytes": _COUNT,
        "evictions": _COUNT | {"description": "Answers that made room for others."},
        "too_large": _COUNT | {"description": "Answers that were not kept because of their size."},
    }
    semantic = {
        "mode": {"enum": [*get_args(SemanticMode)]},
        "threshold": {"type": "number"},
        "entries": _COUNT | {"description": "Questions that are remembered."},
        "searched": _COUNT | {"description": "Questions that were compared."},
        "skipped": _COUNT | {"description": "The embedding model was not ready, or the question too long for it."},
        "alike": _COUNT | {"description": "A kept question was at least as much alike as the threshold."},
        "guarded": _COUNT | {"description": "It was, and the guard refused: the words of none agreed."},
        "would_be": _COUNT | {"description": "An answer was there to be given."},
        "served": _COUNT | {"description": "It was given."},
        "judged": _COUNT | {"description": "In shadow mode: the new answer was compared with that one."},
        "false_hits": _COUNT | {"description": "They did not say the same."},
        "false_hit_ratio": {"type": ["number", "null"], "description": "False hits among those that were judged."},
    }
    stats = {
        "semantic": {
            **closed_object(semantic, said="Of the process that answers, since it began. Null: it is off."),
            "type": ["object", "null"],
        },
        "store": {
            **closed_object(store, said="Null: the shared store does not answer."),
            "type": ["object", "null"],
        },
        "reach": {"enum": [*get_args(Reach)], "description": "For whom the cache, and a purge, holds."},
        "since": _MOMENT,
        "until": _MOMENT | {"description": "Exclusive; null: up to now."},
        "by": list_of({"enum": [*STATS_GROUPS]}),
        "total": ref("CacheFigures"),
        "data": list_of(ref("CacheFigures")) | {"description": "One for each group, where groups are asked for."},
    }
    groups: Json = {str(group): _MAYBE_TEXT for group in STATS_GROUPS}
    return {
        "CacheFigures": closed_object(figures, groups, said="What the cache did for some requests."),
        "CacheStats": closed_object(stats),
        "Purged": closed_object({"purged": _COUNT | {"description": "How many answers went."}}),
    }


def _stats_parameters() -> list[Json]:
    moment = "a moment (RFC 3339) or a day (UTC)"
    known = ", ".join(f"`{group}`" for group in STATS_GROUPS)
    return [
        {**_query("since", f"From here on: {moment}; unless given, 24 hours.", _TEXT), "example": "2026-11-01"},
        _query("until", f"Up to here, exclusive: {moment}.", _TEXT),
        {**_query("by", f"What to group by: some of {known}, separated by commas.", _TEXT), "example": "model"},
    ]


def _purge_parameters() -> list[Json]:
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    seconds = {"type": "number", "minimum": 0, "maximum": 31_622_400}
    return [
        _query("key_id", "The answers of this api key.", _TEXT),
        _query("user", "The answers of this user.", _TEXT),
        _query("model", "The answers to requests for a model, by the name that was asked for.", _TEXT),
        _query("tag", "The answers to requests with this tag, as `name=value`.", _TEXT),
        _query("digest", "One answer, by the whole digest of its request.", digest),
        _query("all", "Every answer.", {"enum": ["true"]}),
        _query("older_than_s", "Only those that were made so many seconds ago, or earlier.", seconds),
    ]


def _query(name: str, said: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": said, "schema": schema}
