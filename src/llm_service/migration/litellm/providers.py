"""The providers of the result: entries that share address, credential and bounds share one."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from llm_service.domain import fact_in_order
from llm_service.migration.draft import Draft
from llm_service.migration.litellm.entry import Entry
from llm_service.migration.litellm.naming import free_name, label_of, slug
from llm_service.migration.litellm.words import WORDS

_PROVIDER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_USUAL: Final[Mapping[str, str]] = {"openrouter": "${OPENROUTER_API_KEY}", "deepseek": "${DEEPSEEK_API_KEY}"}
"""The variable of a provider's key wins over the file: another key must not stand under that name."""
_APART: Final = " apart"
_WHY_APART: Final = (
    "Others fall back to its model, and attempts at one provider are bounded together, by max_retries: so it is a "
    "provider of its own."
)
_REFUSED_LATER: Final = "Another entry has another price for this model at this provider, which holds."


@fact_in_order
class Named:
    """An entry, and what its provider is called."""

    entry: Entry
    provider: str


def name_providers(draft: Draft, entries: Sequence[Entry], *, fallbacks: Collection[str]) -> list[Named]:
    """Write ``providers``, ``limits.per_provider`` and ``prices``. ``fallbacks``: models that others fall back to."""
    groups = _grouped(entries, fallbacks)
    names = _names(groups)
    for identity, name in sorted(names.items(), key=lambda item: [*groups].index(item[0])):
        first = groups[identity][0]
        draft.settings.setdefault("providers", {})[name] = _options(first.provider, name)
        if limits := {kind: value for kind, value in first.limits.items() if kind != "own"}:
            draft.settings.setdefault("limits", {}).setdefault("per_provider", {})[name] = limits
    called = {id(entry): names[identity] for identity, group in groups.items() for entry in group}
    named = [Named(entry, called[id(entry)]) for entry in entries]
    for one in named:
        _price(draft, one)
    for name in dict.fromkeys(names[identity] for identity in names if identity.endswith(_APART)):
        draft.report.add(f"providers.{name}", _WHY_APART)
    return named


def _grouped(entries: Sequence[Entry], fallbacks: Collection[str]) -> dict[str, list[Entry]]:
    """By identity; a model that others fall back to shares no provider with them, where it would."""
    together: dict[str, list[Entry]] = {}
    for entry in entries:
        together.setdefault(_identity(entry), []).append(entry)
    groups: dict[str, list[Entry]] = {}
    for identity, group in together.items():
        others = {entry.asked for entry in group}
        for entry in group:
            apart = entry.asked in fallbacks and len(others) > 1 and not entry.is_wildcard
            key = f"{identity}{entry.asked}{_APART}" if apart else identity
            groups.setdefault(key, []).append(entry)
    return groups


def _identity(entry: Entry) -> str:
    """Equal for entries that can share a provider. One with limits of its own shares with nobody."""
    number = entry.found.path if entry.limits else ""
    prefix = "" if prefix_of(entry) == entry.word.name else prefix_of(entry)
    return json.dumps([entry.word.name, entry.provider, entry.limits, number, prefix], default=str)


def prefix_of(entry: Entry) -> str:
    """What stands before the slash in a wildcard: the provider has to be called that."""
    prefix, slash, rest = entry.asked.partition("/")
    wanted = bool(slash) and entry.is_wildcard and rest == entry.model
    return prefix if wanted and _PROVIDER_NAME.fullmatch(prefix) else ""


def _names(groups: Mapping[str, list[Entry]]) -> dict[str, str]:
    """Wildcards first, since clients write their names; those with limits of their own last."""
    names: dict[str, str] = {}
    for identity, group in sorted(groups.items(), key=lambda item: _rank(item[1])):
        names[identity] = free_name(_candidates(group, alone=_is_alone(group, groups.values())), names.values())
    return names


def _rank(group: list[Entry]) -> int:
    return 0 if _prefix(group) else 3 if group[0].limits else 1 if _is_usual(group[0]) else 2


def _is_usual(entry: Entry) -> bool:
    """Whether it is at the public address with the key of the usual variable."""
    at_home = entry.provider.get("base_url", "") in ("", entry.word.base_url)
    return at_home and entry.provider.get("api_key") == f"${{{entry.word.key}}}"


def _prefix(group: list[Entry]) -> str:
    return next(filter(None, map(prefix_of, group)), "")


def _is_alone(group: list[Entry], groups: Iterable[list[Entry]]) -> bool:
    """Whether its word is its own: those with limits of their own leave it to the others."""
    same = [other for other in groups if other[0].word.name == group[0].word.name]
    return len(same) == 1 or [other for other in same if not other[0].limits] == [group]


def _candidates(group: list[Entry], *, alone: bool) -> list[str]:
    entry = group[0]
    if prefix := _prefix(group):
        return [prefix]
    base, model = entry.word.name, slug(entry.model.rpartition("/")[2])
    label = label_of(str(entry.provider.get("base_url", "")))
    first = alone or label == "local" or (_is_usual(entry) and not entry.limits)
    plain = [base] if first and _may_be_called(base, entry) else []
    told = [f"{base}-{label}"] if label and label not in (base, "local") and not entry.word.base_url else []
    by_model = [f"{base}-{model}"] if model else []
    if entry.limits or "/openai/deployments/" in str(entry.provider.get("base_url", "")):
        told, by_model = [], [*by_model, *(f"{base}-{model}-{label}" for _ in told)]
    return [*plain, *told, *by_model, f"{base}-other"]


def _may_be_called(name: str, entry: Entry) -> bool:
    return name not in _USUAL or entry.provider.get("api_key") == _USUAL[name]


def _options(provider: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Without what the name says already."""
    options = {key: value for key, value in provider.items() if key not in ("kind", "server") or value != name}
    if "kind" not in provider and name in _USUAL:
        options["kind"] = "openai_compatible"
    if "server" not in provider and "kind" not in provider and name in {word.server for word in WORDS.values()}:
        options["server"] = "generic"
    return options


def _price(draft: Draft, named: Named) -> None:
    entry = named.entry
    if not entry.price:
        return
    prices = draft.settings.setdefault("prices", {})
    if prices.setdefault(f"{named.provider}/{entry.model}", entry.price) != entry.price:
        said, entry.said = entry.said, []
        for one in said:
            if one.to.startswith("prices."):
                entry.lost(one.found, _REFUSED_LATER)
            else:
                entry.said.append(one)
