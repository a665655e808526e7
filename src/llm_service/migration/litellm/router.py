"""How LiteLLM retries, waits and leaves failing deployments alone, as far as that is a setting here."""

from decimal import Decimal
from typing import Any, Final

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.entry import Entry
from llm_service.migration.litellm.limits import MOST_RETRIES, budget_of, retries_of, timeout_of
from llm_service.migration.litellm.providers import Named
from llm_service.migration.litellm.settings import either, of_section
from llm_service.migration.litellm.values import flag, number, whole
from llm_service.migration.source import Found

_NOT_READ: Final = "It is no number that can be set here."
_LONGEST_OPEN_S: Final = 3600


def apply_defaults(draft: Draft, entries: list[Entry]) -> None:
    """Time-outs, retries and concurrency of all deployments, for those that have none of their own."""
    _timeout(draft, entries, ("timeout", "request_timeout"), "total_s")
    _timeout(draft, entries, ("stream_timeout",), "first_chunk_s")
    _retries(draft, entries)
    for section, name in (
        ("router_settings", "default_max_parallel_requests"),
        ("general_settings", "max_parallel_requests"),
    ):
        _parallel(draft, entries, of_section(draft, section, name))


def _timeout(draft: Draft, entries: list[Entry], names: tuple[str, ...], setting: str) -> None:
    given = [found for name in names if (found := either(draft, name)) is not None]
    for found in given[1:]:
        draft.report.without_effect(found, f"{given[0].path} holds, as it does in LiteLLM.")
    if not given:
        return
    value = timeout_of(given[0])
    if value is None:
        draft.report.lost(given[0], _NOT_READ)
        return
    for entry in entries:
        entry.provider.setdefault("timeouts", {}).setdefault(setting, value)
    message = "For whole answers and for streams from their first to their last byte." if setting == "total_s" else ""
    draft.report.carried(given[0], f"providers.*.timeouts.{setting}", message)


def _retries(draft: Draft, entries: list[Entry]) -> None:
    found = either(draft, "num_retries")
    if found is None:
        return
    value = retries_of(found)
    if value is None:
        draft.report.lost(found, _NOT_READ)
        return
    for entry in entries:
        entry.provider.setdefault("max_retries", value)
    message = "At each provider, before the first content, and within routing.retry_budget."
    if whole(found) != value:
        draft.report.changed(found, "providers.*.max_retries", f"{MOST_RETRIES} at most. {message}")
    else:
        draft.report.carried(found, "providers.*.max_retries", message)


def _parallel(draft: Draft, entries: list[Entry], found: Found | None) -> None:
    value = whole(found)
    if found is None:
        return
    if value == 0:
        draft.report.carried(found, "", "0 is no bound.")
    elif value is None or not 0 < value <= 100_000:
        draft.report.lost(found, _NOT_READ)
    else:
        for entry in entries:
            entry.provider.setdefault("max_concurrency", value)
        draft.report.changed(
            found, "providers.*.max_concurrency", "A bound for each provider in each process; others wait."
        )


def build_breaker(draft: Draft) -> None:
    """Write ``routing.breaker``."""
    fails, cooldown = either(draft, "allowed_fails"), either(draft, "cooldown_time")
    if fails is not None:
        value = whole(fails)
        if value is None or not 0 <= value < 10_000:
            draft.report.lost(fails, _NOT_READ)
        else:
            draft.put("routing.breaker.failures", value + 1)
            draft.report.changed(fails, "routing.breaker.failures", "Failures in a row, in place of those of a minute.")
    if cooldown is not None:
        _cooldown(draft, cooldown)


def _cooldown(draft: Draft, found: Found) -> None:
    value = number(found)
    if value is None or not 0 < value <= _LONGEST_OPEN_S:
        draft.report.lost(found, "Breakers stay on, for more than 0 and at most 3600 s: routing.breaker.open_s.")
        return
    draft.put("routing.breaker.open_s", value)
    if value > Decimal(4):
        draft.put("routing.breaker.open_max_s", value)
    message = "For the first time; a try that fails doubles it, up to open_max_s. One request tries, the others wait."
    draft.report.changed(found, "routing.breaker.open_s", message)


def build_tags(draft: Draft, entries: list[Entry]) -> None:
    """Deployments are chosen by tags where they have some: there is no switch."""
    tagged = any(entry.deployment.get("tags") for entry in entries)
    found = of_section(draft, "router_settings", "enable_tag_filtering")
    if flag(found) and found is not None:
        draft.report.carried(found, "models.*.deployments[].tags", "A request chooses by `X-LLM-Tags: route=<word>`.")
    elif tagged:
        for entry in entries:
            entry.deployment.pop("tags", None)
        if found is not None:
            draft.report.carried(found, "", "Tags are left out of the deployments.")
        draft.report.add(
            "", "Tags of deployments are left out: without enable_tag_filtering LiteLLM does not choose by them."
        )
    matching = of_section(draft, "router_settings", "tag_filtering_match_any")
    if matching is not None:
        message = "A request chooses by one word: `X-LLM-Tags: route=<word>`."
        draft.report.without_effect(matching, message)


def build_provider_budgets(draft: Draft, named: list[Named]) -> None:
    """Write what LiteLLM calls ``provider_budget_config`` into ``limits.per_provider``."""
    found = of_section(draft, "router_settings", "provider_budget_config")
    for term, one in [] if found is None else found.entries():
        amount = one.get("budget_limit") or one.get("max_budget")
        if amount is None:
            draft.report.lost(one, "It names no budget_limit.")
            continue
        providers = list(dict.fromkeys(each.provider for each in named if each.entry.term == term))
        budget = budget_of(amount, one.get("time_period") or one.get("budget_duration"))
        if isinstance(budget, str):
            draft.report.lost(one, budget)
        elif len(providers) != 1:
            message = (
                f"It is {len(providers)} providers here ({', '.join(providers) or 'none'}): give each a "
                "budget of its own."
            )
            draft.report.lost(one, f"{message} limits.per_provider.<name>.budget_usd.")
        else:
            _provider_budget(draft, one, providers[0], budget.settings, budget.message)


def _provider_budget(draft: Draft, found: Found, provider: str, settings: dict[str, Any], message: str) -> None:
    per_provider = draft.settings.setdefault("limits", {}).setdefault("per_provider", {})
    per_provider[provider] = {**per_provider.get(provider, {}), **settings}
    draft.report.changed(found, f"limits.per_provider.{provider}.budget_usd", message, whole=True)
