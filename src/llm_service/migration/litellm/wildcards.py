"""Entries of ``model_list`` for many models: here each provider has all of its own, as ``provider/model``."""

from collections.abc import Sequence
from typing import Final

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.entry import Entry
from llm_service.migration.litellm.providers import Named

_LISTED: Final = (
    "List the others under models, or have clients ask for {}/<model>: patterns do not choose among models here."
)


def open_wildcards(draft: Draft, named: Sequence[Named]) -> list[str]:
    """Names that may be asked for beside those of ``models``, and what is said of each wildcard."""
    allowed: list[str] = []
    for one in named:
        if one.entry.is_wildcard:
            allowed.append(_open(draft, one))
            for said in one.entry.said:
                said.tell(draft.report, provider=one.provider, model=one.entry.asked)
    return allowed


def _open(draft: Draft, named: Named) -> str:
    entry, provider = named.entry, named.provider
    found = entry.found.get("model_name") or entry.found
    if _means_the_same(entry, provider):
        draft.report.carried(found, f"providers.{provider}", "Every model of a provider can be asked for.")
        return entry.asked
    if entry.asked == "*" and entry.word.kind == "openrouter" and entry.model == "*":
        draft.report.carried(found, f"providers.{provider}", "A name that nobody else has goes whole to OpenRouter.")
        return "*"
    draft.report.lost(found, _LISTED.format(provider))
    return f"{provider}/{entry.model}" if entry.model.endswith("*") else f"{provider}/*"


def _means_the_same(entry: Entry, provider: str) -> bool:
    prefix, slash, rest = entry.asked.partition("/")
    return bool(slash) and prefix == provider and rest == entry.model and rest.find("*") == len(rest) - 1
