"""The response cache: off unless the file switches it on, and never among callers unless an operator says so."""

from typing import Final

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.values import flag, number, seconds
from llm_service.migration.source import Found

_YEAR_S: Final = 366 * 86400
_STORES: Final = {
    "local": ("In the memory of each process.", False),
    "redis": ("In store.redis_url, for all machines, with copies in each process.", False),
    "redis-semantic": ("", True),
    "qdrant-semantic": ("", True),
    "valkey-semantic": ("", True),
}
_SEMANTIC: Final = (
    "Answers to the same request are kept; those to questions in other words are not, until you set cache.semantic "
    "(docs/cache.md), which has its own model, takes an extra of packages, and begins with counting."
)
_ELSEWHERE: Final = (
    "Answers are kept in memory, or in store.redis_url; there is no cache in files, buckets or databases."
)
_OF_OTHER_STORES: Final = ("s3_", "gcs_", "disk_", "azure_")
_OF_LIKENESS: Final = ("qdrant_", "redis_semantic_", "valkey_semantic_")
_CLUSTER: Final = (
    "Write it by hand: store.redis_url is redis+cluster://host:port,... or redis+sentinel://host:port,.../service."
)
_DETAILS: Final = {
    "redis_startup_nodes": _CLUSTER,
    "service_name": _CLUSTER,
    "sentinel_nodes": _CLUSTER,
    "sentinel_password": _CLUSTER,
    "namespace": "All names in the store begin with store.redis_prefix.",
    "similarity_threshold": "It belongs to another model, and means something else: cache.semantic.threshold.",
    "supported_call_types": "All three interfaces are cached alike; models.<name>.cache_ttl_s: 0 keeps none.",
    "max_connections": "The service keeps its connections by itself.",
    "gcp_service_account": "Log-ins of Google Cloud are not made for Redis: use a user and a password.",
    "ssl_cert_reqs": "The server must prove who it is: name its authority by ?ca_file= in store.redis_url.",
    "ssl_check_hostname": "The server must prove who it is: name its authority by ?ca_file= in store.redis_url.",
    "gcp_ssl_ca_certs": "Name it by ?ca_file= in store.redis_url.",
}


def build_cache(draft: Draft) -> None:
    """Write ``cache``."""
    settings = draft.source.get("litellm_settings")
    switch = None if settings is None else settings.get("cache")
    params = None if settings is None else settings.get("cache_params")
    if not flag(switch):
        draft.put("cache.enabled", value=False)
        if switch is not None:
            draft.report.carried(switch, "cache.enabled")
        else:
            draft.report.add(
                "cache.enabled", "LiteLLM keeps no answers unless it is told to. Here that would be the default."
            )
        if params is not None:
            draft.report.without_effect(params, "The cache is off.")
        return
    assert switch is not None  # noqa: S101  # or it were no flag
    if params is None:
        draft.put("cache.enabled", value=True)
        _switched_on(draft, switch)
        return
    _params(draft, switch, params)


def _params(draft: Draft, switch: Found, params: Found) -> None:
    types, mode = params.get("supported_call_types"), params.get("mode")
    nothing = types is not None and not types.items() and types.text() is None
    opt_in = mode is not None and mode.text() == "default_off"
    draft.put("cache.enabled", not (nothing or opt_in))
    if types is not None and nothing:
        draft.report.changed(switch, "cache.enabled", "Off: supported_call_types is empty.")
        draft.report.carried(types, "cache.enabled")
    elif opt_in and mode is not None:
        draft.report.changed(switch, "cache.enabled", "Off, since requests cannot ask for it one by one.")
        draft.report.lost(mode, "Have it on, and let requests that want none say `Cache-Control: no-store`.")
    else:
        _switched_on(draft, switch)
        if mode is not None:
            draft.report.carried(mode, "cache.enabled")
    _type(draft, params.get("type"))
    _ttl(draft, params)
    for name, found in params.entries():
        if name in _DETAILS and not (name == "supported_call_types" and nothing):
            draft.report.lost(found, _DETAILS[name])
        elif name.startswith(_OF_OTHER_STORES):
            draft.report.lost(found, _ELSEWHERE)
        elif name.startswith(_OF_LIKENESS):
            draft.report.lost(found, _SEMANTIC)


def _switched_on(draft: Draft, switch: Found) -> None:
    message = (
        "Each api key has its own answers, where LiteLLM gives those of all to all. For that set cache.scope: global."
    )
    draft.report.changed(switch, "cache.enabled", message)


def _type(draft: Draft, found: Found | None) -> None:
    if found is None:
        return
    message, semantic = _STORES.get(found.text() or "", ("", None))
    if semantic is None:
        draft.report.lost(found, _ELSEWHERE)
    elif semantic:
        draft.report.lost(found, _SEMANTIC)
    else:
        draft.report.carried(found, "cache", message)


def _ttl(draft: Draft, params: Found) -> None:
    given = [found for name in ("ttl", "default_in_redis_ttl", "default_in_memory_ttl") if (found := params.get(name))]
    for found in given:
        value = number(found) if seconds(found) is None else seconds(found)
        if value is None or not 0 <= value <= _YEAR_S:
            draft.report.lost(found, "It is no duration that can be set: cache.ttl_s, at most a year.")
        elif found is given[0]:
            draft.put("cache.ttl_s", value)
            draft.report.carried(found, "cache.ttl_s")
        else:
            draft.report.without_effect(found, f"{given[0].path} holds: there is one time for memory and store.")
