"""From a configuration of LiteLLM's proxy to one of this service, in the order in which one follows from the other."""

from collections.abc import Iterator
from typing import Any, Final

from llm_service.config import Scalar
from llm_service.migration.draft import Draft
from llm_service.migration.litellm import remedies
from llm_service.migration.litellm.cache import build_cache
from llm_service.migration.litellm.entries import read_entries
from llm_service.migration.litellm.fallbacks import build_fallbacks, fallback_names
from llm_service.migration.litellm.files import SECTIONS
from llm_service.migration.litellm.general import build_general
from llm_service.migration.litellm.guardrails import build_filters
from llm_service.migration.litellm.models import build_models
from llm_service.migration.litellm.providers import name_providers
from llm_service.migration.litellm.router import apply_defaults, build_breaker, build_provider_budgets, build_tags
from llm_service.migration.litellm.settings import of_section
from llm_service.migration.litellm.stores import build_store
from llm_service.migration.litellm.telling import build_telling
from llm_service.migration.litellm.values import variable_of
from llm_service.migration.litellm.wildcards import open_wildcards
from llm_service.migration.litellm.words import WORDS
from llm_service.migration.source import Found

ORDER: Final = (
    "server auth store providers models routing cache limits prices filters ledger notifiers alerting observability"
).split()
BEYOND: Final = (
    remedies.KEYS,
    "LiteLLM listens on 0.0.0.0:4000 unless its command line says otherwise; this service on "
    "127.0.0.1:8080: server.host, "
    "server.port.",
    "Variables that LiteLLM reads by itself (a database, licences, observability) mean nothing here, unless the result "
    "refers to them.",
)
"""What no file tells, and every migration has to do with."""
_VARIABLE: Final = "Set it in the environment of the service, where the result refers to it; the file sets none."


def from_litellm(source: Found) -> Draft:
    """The settings, with a report in which nothing of the file is left without a word. Pure."""
    draft = Draft(source, taken=_taken(source))
    entries = read_entries(draft)
    build_tags(draft, entries)
    apply_defaults(draft, entries)
    named = name_providers(draft, entries, fallbacks=fallback_names(draft))
    aliases = build_models(draft, named)
    allowed = open_wildcards(draft, named)
    build_fallbacks(draft, aliases)
    build_breaker(draft)
    build_provider_budgets(draft, named)
    build_store(draft)
    build_cache(draft)
    build_telling(draft)
    build_filters(draft)
    build_general(draft)
    _close_list(draft, allowed)
    _sections(draft)
    draft.report.rest(source, remedies.UNKNOWN, sections=SECTIONS)
    draft.settings = {name: draft.settings[name] for name in ORDER if draft.settings.get(name)}
    return draft


def _taken(source: Found) -> Iterator[str]:
    """Variables that the file refers to, or that LiteLLM reads by themselves."""
    yield from (word.key for word in WORDS.values() if word.key and not _holds_key(source))
    waiting = [source]
    while waiting:
        found = waiting.pop()
        waiting += found.below()
        if isinstance(found.node, Scalar) and (name := variable_of(found.node.text)):
            yield name


def _holds_key(source: Found) -> bool:
    """Whether every entry says its key, so that the usual variables are free for those in clear."""
    models = source.get("model_list")
    params = [] if models is None else [one.get("litellm_params") for one in models.items()]
    return all(one is not None and one.get("api_key") is not None for one in params)


def _close_list(draft: Draft, allowed: list[str]) -> None:
    """LiteLLM serves the names of its list alone; here a configured provider has all its models."""
    models = draft.source.get("model_list")
    names = [] if models is None else [one.get("model_name") for one in models.items()]
    if any(name is not None and name.text() == "*" for name in names) or not draft.settings.get("providers"):
        return
    closed: dict[str, Any] = {
        "type": "allowed_models",
        "name": "model-list",
        "allowed": [*draft.settings.get("models", {}), *dict.fromkeys(allowed)],
    }
    draft.settings["filters"] = [closed, *draft.settings.get("filters", [])]
    message = (
        "LiteLLM serves the names of model_list alone. Without this filter every model of a "
        "configured provider can be asked "
        "for, as provider/model."
    )
    draft.report.add("filters[0]", message)


def _sections(draft: Draft) -> None:
    for name, found in draft.source.entries():
        if name in remedies.SECTIONS:
            draft.report.lost(found, remedies.SECTIONS[name])
        elif name == "include":
            for one in found.each():
                draft.report.carried(one, "", "Its values are those of one file here.")
        elif name == "environment_variables":
            for _, one in found.entries():
                draft.report.changed(one, "", _VARIABLE)
    if (params := of_section(draft, "litellm_settings", "cache_params")) is not None:
        _redis_of_cache(draft, params)


def _redis_of_cache(draft: Draft, params: Found) -> None:
    for name in ("host", "port", "password"):
        if (found := params.get(name)) is not None and "store" not in draft.settings:
            draft.report.without_effect(found, "No server is asked: the cache is in memory.")
