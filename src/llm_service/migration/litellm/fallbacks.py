"""Fallbacks of the models: for failures, for prompts that are too long, for refused contents."""

from collections.abc import Mapping
from typing import Any, Final

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.naming import can_be_named
from llm_service.migration.litellm.settings import either
from llm_service.migration.source import Found

_KINDS: Final = (
    ("fallbacks", "fallbacks"),
    ("context_window_fallbacks", "context_fallbacks"),
    ("content_policy_fallbacks", "content_fallbacks"),
)
_NOBODY: Final = "It is no model of the result, so nobody falls back to it."
_SOURCELESS: Final = "It is no model of the result, so it falls back to nobody."
_ITSELF: Final = "A model does not fall back to itself: it is tried again within max_retries."


def fallback_names(draft: Draft) -> frozenset[str]:
    """Models that others fall back to, as the file names them."""
    sections = [
        found for key in ("router_settings", "litellm_settings") if (found := draft.source.get(key)) is not None
    ]
    names: set[str] = set()
    for section in sections:
        for theirs, _ in _KINDS:
            groups = section.get(theirs)
            for group in [] if groups is None else groups.items():
                names |= {_name(one) for _, targets in group.entries() for one in targets.each()}
        defaults, aliases = section.get("default_fallbacks"), section.get("model_group_alias")
        names |= set() if defaults is None else {_name(one) for one in defaults.each()}
        names |= set() if aliases is None else {_name(model) for alias, model in aliases.entries() if alias in names}
    return frozenset(names)


def build_fallbacks(draft: Draft, aliases: Mapping[str, str]) -> None:
    """Write those of each model; an alias has those of the model that it stands for."""
    for theirs, ours in _KINDS:
        found = either(draft, theirs)
        given = [pair for group in ([] if found is None else found.items()) for pair in group.entries()]
        for name, targets in given:
            if name != "*":
                _of_one(draft, name, targets, ours)
        for alias, name in aliases.items():
            _as_its_model(draft, alias, name, ours)
        for name, targets in given:
            if name == "*":
                _of_all(draft, targets, ours)
    if (defaults := either(draft, "default_fallbacks")) is not None:
        _of_all(draft, defaults, "fallbacks")


def _as_its_model(draft: Draft, alias: str, name: str, ours: str) -> None:
    models = draft.settings["models"]
    if ours in models[name] and ours not in models[alias]:
        models[alias] = {**models[alias], ours: [one for one in models[name][ours] if one != alias]}


def _of_one(draft: Draft, name: str, targets: Found, ours: str) -> None:
    models = draft.settings.setdefault("models", {})
    if name not in models and _of_a_provider(draft, name):
        provider, _, model = name.partition("/")
        models[name] = {"deployments": [{"provider": provider, "model": model}]}
    if name not in models:
        draft.report.lost(targets, _SOURCELESS)
        return
    _write(draft, name, [one for one in targets.each() if _usable(draft, one, f"models.{name}.{ours}", of=name)], ours)


def _of_all(draft: Draft, targets: Found, ours: str) -> None:
    """For every model that has none of its own."""
    usable = [one for one in targets.each() if _usable(draft, one, f"models.*.{ours}")]
    for name, model in draft.settings.get("models", {}).items():
        if ours not in model:
            _write(draft, name, [one for one in usable if _name(one) != name], ours)


def _write(draft: Draft, name: str, targets: list[Found], ours: str) -> None:
    if not targets:
        return
    models: dict[str, Any] = draft.settings["models"]
    names = dict.fromkeys(_name(one) for one in targets)
    models[name] = {**models[name], ours: [*models[name].get(ours, []), *names]}


def _usable(draft: Draft, target: Found, to: str, *, of: str = "") -> bool:
    name = _name(target)
    if name == of:
        draft.report.lost(target, _ITSELF)
    elif name not in draft.settings.get("models", {}) and not _of_a_provider(draft, name):
        draft.report.lost(target, _NOBODY)
    elif target.text() is None:
        message = "The request goes to it as it came: a fallback has no fields of its own here."
        draft.report.changed(target, to, message, whole=True)
        return True
    else:
        draft.report.carried(target, to)
        return True
    return False


def _name(target: Found) -> str:
    """A fallback is a name, or a map with one and fields for the request."""
    return target.text() or ((named := target.get("model")) is not None and named.text()) or ""


def _of_a_provider(draft: Draft, name: str) -> bool:
    provider, slash, model = name.partition("/")
    return bool(slash and can_be_named(model)) and provider in draft.settings.get("providers", {})
