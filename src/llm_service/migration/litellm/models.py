"""The models of the result: entries of one name are deployments of one model."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.entry import Entry
from llm_service.migration.litellm.naming import can_be_named
from llm_service.migration.litellm.providers import Named
from llm_service.migration.litellm.settings import either, of_section
from llm_service.migration.source import Found

_HEAVIEST: Final = Decimal(1000)
_LIGHTEST: Final = Decimal("0.001")
STRATEGIES: Final[Mapping[str, tuple[str, str]]] = {
    "simple-shuffle": ("weighted", ""),
    "least-busy": ("least_busy", ""),
    "latency-based-routing": (
        "latency",
        "Of two that are drawn the one where a request waits less, by the time to the first content (docs/routing.md).",
    ),
    "cost-based-routing": ("cost", ""),
    "usage-based-routing": ("least_busy", "The one with the fewest requests in flight, in place of the fewest tokens."),
    "usage-based-routing-v2": (
        "least_busy",
        "The one with the fewest requests in flight, in place of the fewest tokens.",
    ),
}
"""By LiteLLM's name: ours, and what is different."""


def build_models(draft: Draft, named: Sequence[Named]) -> dict[str, str]:
    """Write ``models``, and say of each entry what it became. Gives the model that each alias stands for."""
    strategy = _strategy(draft)
    groups: dict[str, list[Named]] = {}
    for one in named:
        if not one.entry.is_wildcard:
            groups.setdefault(_fit(draft, one.entry), []).append(one)
    for name, group in groups.items():
        model: dict[str, Any] = {"deployments": _deployments(group)}
        if len(group) > 1:
            model["strategy"] = strategy
        draft.settings.setdefault("models", {})[name] = model
        for one in group:
            for said in one.entry.said:
                said.tell(draft.report, provider=one.provider, model=name)
    return _aliases(draft)


def _strategy(draft: Draft) -> str:
    found = either(draft, "routing_strategy")
    if found is None:
        return "weighted"
    ours, message = STRATEGIES.get(found.text() or "", ("weighted", ""))
    if found.text() not in STRATEGIES:
        draft.report.lost(found, "It is not known to this import; deployments are drawn by their weight (weighted).")
    elif message:
        draft.report.changed(found, "models.*.strategy", message)
    else:
        draft.report.carried(found, "models.*.strategy")
    return ours


def _fit(draft: Draft, entry: Entry) -> str:
    if can_be_named(entry.asked):
        return entry.asked
    fit = re.sub(r"[^!-~]+", "-", entry.asked).strip("-")[:256] or "model"
    found = entry.found.get("model_name") or entry.found
    draft.report.changed(found, f"models.{fit}", f"Names have no blanks and are ASCII here: clients ask for {fit}.")
    return fit


def _deployments(group: Sequence[Named]) -> list[dict[str, Any]]:
    weights, priorities = _weights([one.entry for one in group]), _priorities([one.entry for one in group])
    return [
        {
            "provider": one.provider,
            "model": one.entry.model,
            **({"weight": weight} if weight != 1 else {}),
            **({"priority": priority} if priority else {}),
            **one.entry.deployment,
        }
        for one, weight, priority in zip(group, weights, priorities, strict=True)
    ]


def _weights(entries: Sequence[Entry]) -> list[Decimal]:
    """Of the entries' own weights, else of their requests or tokens by the minute, as LiteLLM draws them."""
    if len(entries) == 1:
        return [Decimal(1)]
    given = [entry.weight for entry in entries]
    for kind in ("requests_per_minute", "tokens_per_minute"):
        if all(weight is None for weight in given):
            limits = [entry.limits.get(kind) for entry in entries]
            given = [Decimal(limit) if isinstance(limit, int) else None for limit in limits]
    wanted = [Decimal(1) if weight is None or not weight else weight for weight in given]
    if all(weight == wanted[0] for weight in wanted):
        return [Decimal(1)] * len(wanted)
    scale = min(Decimal(1), _HEAVIEST / max(wanted))
    return [max(_LIGHTEST, (weight * scale).quantize(_LIGHTEST)).normalize() for weight in wanted]


def _priorities(entries: Sequence[Entry]) -> list[int]:
    """By ``order``; those without one come after, and those of weight 0 last."""
    orders = [entry.order for entry in entries if entry.order is not None]
    after = max(orders) + 1 if orders else 0
    given = [after if entry.order is None else entry.order for entry in entries]
    weightless = [entry.weight == 0 for entry in entries]
    if all(weightless):
        return given
    return [max(given) + 1 if none else order for order, none in zip(given, weightless, strict=True)]


def _aliases(draft: Draft) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for section, setting in (("router_settings", "model_group_alias"), ("litellm_settings", "model_alias_map")):
        found = of_section(draft, section, setting)
        for alias, target in [] if found is None else found.entries():
            if (named := _alias(draft, alias, target)) is not None:
                aliases[alias] = named
    return aliases


def _alias(draft: Draft, alias: str, target: Found) -> str | None:
    """Write one; the name that it stands for."""
    named = (target.get("model") or target).text() or ""
    models = draft.settings.get("models", {})
    if named not in models or not can_be_named(alias):
        message = "It stands for no model of the result. Write it under models, with deployments of its own."
        draft.report.lost(target, message)
        return None
    if alias in models:
        draft.report.lost(target, "A model of this name is in model_list, and holds.")
        return None
    models[alias] = models[named]
    message = "A model of its own with the same deployments and fallbacks. It is in the list of models."
    draft.report.changed(target, f"models.{alias}", message, whole=True)
    return named
