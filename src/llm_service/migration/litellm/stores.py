"""Redis, which LiteLLM names in up to three places: one store here for limits, breakers, and answers of the cache."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.texts import concealed, stands_in_clear, told, written
from llm_service.migration.litellm.values import flag, whole
from llm_service.migration.source import Found
from llm_service.storage import StoreUrl

_ENCODED: Final = "In an address a password is percent-encoded: `/` is %2F, `@` is %40."
_MAY_BE_TLS: Final = (
    "Whether it is TLS is not written out: the address asks for it (rediss://), so that no password goes in clear by "
    "mistake. Write redis:// where the server has none."
)
_REFERENCE: Final = re.compile(r"\$\{[A-Za-z0-9_]+\}")
_PARTS: Final = ("url", "host", "port", "password", "username", "db", "ssl")


def build_store(draft: Draft) -> None:
    """Write ``store.redis_url`` from the first of the places that names a server."""
    router, cache = draft.source.get("router_settings"), _cache_params(draft)
    first = _parts(router, "redis_")
    if first:
        _write(draft, first)
    if cache is None or not _is_redis(cache):
        return
    second = _parts(cache, "") or _parts(cache, "redis_")
    if not first and (cache.get("redis_startup_nodes") or cache.get("sentinel_nodes")):
        return  # said by the cache
    if second and first:
        for part in second.values():
            message = "store.redis_url is that of router_settings: one server for limits and cache."
            draft.report.changed(part, "store.redis_url", message)
    elif second:
        _write(draft, second)
    else:
        draft.put("store.redis_url", draft.variables.refer("REDIS_URL"))
        draft.report.add(
            "store.redis_url",
            "The file has a Redis cache and names no server. Set REDIS_URL, where LiteLLM reads "
            "REDIS_HOST, REDIS_PORT and "
            "REDIS_PASSWORD: redis://:<password>@<host>:<port>.",
        )


def _cache_params(draft: Draft) -> Found | None:
    settings = draft.source.get("litellm_settings")
    on = None if settings is None else settings.get("cache")
    return None if settings is None or not flag(on) else settings.get("cache_params") or on


def _is_redis(cache: Found) -> bool:
    kind = cache.get("type")
    return (kind is None and cache.get("host") is not None) or (
        kind is not None and (kind.text() or "").startswith("redis")
    )


def _parts(section: Found | None, prefix: str) -> dict[str, Found]:
    """What a section says of the server, as far as it names one."""
    if section is None:
        return {}
    parts = {part: found for part in _PARTS if (found := section.get(f"{prefix}{part}")) is not None}
    return parts if "url" in parts or "host" in parts else {}


def _write(draft: Draft, parts: dict[str, Found]) -> None:
    if "url" in parts:
        _by_url(draft, parts.pop("url"))
        for part in parts.values():
            draft.report.without_effect(part, "The address says it.")
        return
    host = written(draft, parts["host"])
    port = f":{written(draft, parts['port'])}" if "port" in parts else ""
    database = f"/{written(draft, parts['db'])}" if "db" in parts and whole(parts["db"]) != 0 else ""
    secure = parts.get("ssl")
    scheme = "redis" if secure is None or flag(secure) is False else "rediss"
    if _refused(draft, f"{scheme}://{host}{port}{database}", [*parts.values()]):
        return
    draft.put("store.redis_url", f"{scheme}://{_login(draft, parts)}{host}{port}{database}")
    for name, part in parts.items():
        if name == "ssl" and flag(part) is None:
            draft.report.changed(part, "store.redis_url", _MAY_BE_TLS)
        elif name != "password":
            draft.report.carried(part, "store.redis_url")


def _refused(draft: Draft, address: str, parts: Sequence[Found]) -> bool:
    """Whether they make no address, which is then said of each."""
    if (problem := StoreUrl().problem(_REFERENCE.sub("1", address))) is None:
        return False
    for part in parts:
        draft.report.lost(part, f"It makes no address for store.redis_url, which {problem}.")
    return True


def _by_url(draft: Draft, found: Found) -> None:
    if stands_in_clear(found) and _refused(draft, found.text() or "", [found]):
        return
    reference = concealed(draft, found, name="REDIS_URL")
    draft.put("store.redis_url", reference)
    if message := told(found, reference):
        draft.report.changed(found, "store.redis_url", message)
    else:
        draft.report.carried(found, "store.redis_url")


def _login(draft: Draft, parts: dict[str, Found]) -> str:
    user = quote(written(draft, parts["username"]), safe="${}") if "username" in parts else ""
    password = parts.get("password")
    if password is None:
        return f"{user}@" if user else ""
    reference = concealed(draft, password, name="REDIS_PASSWORD")
    draft.report.changed(password, "store.redis_url", f"{told(password, reference)} {_ENCODED}".strip())
    return f"{user}:{reference}@"
