"""The server's own settings: who may come in, how much at once, for how long records stay."""

from collections.abc import Callable, Mapping
from typing import Final

from llm_service.config import is_null
from llm_service.migration.draft import Draft
from llm_service.migration.litellm import remedies
from llm_service.migration.litellm.limits import MOST, budget_of
from llm_service.migration.litellm.settings import of_section
from llm_service.migration.litellm.texts import concealed, told
from llm_service.migration.litellm.values import flag, number, seconds, whole
from llm_service.migration.source import Found

Handler = Callable[[Draft, Found], None]

_NOT_READ: Final = "It is no number that can be set here."
_DAY_S: Final = 86400
_MOST_DAYS: Final = 36500
_MIB: Final = 1024 * 1024


def build_general(draft: Draft) -> None:
    """Write ``auth``, ``server``, ``limits`` and ``ledger``, and say what is to be done for the rest."""
    _budget(draft)
    for section, handlers, known in (
        ("general_settings", _GENERAL, remedies.GENERAL),
        ("litellm_settings", _LITELLM, remedies.LITELLM),
        ("router_settings", {}, remedies.ROUTER),
    ):
        found = draft.source.get(section)
        for name, one in [] if found is None else found.entries():
            if (handler := handlers.get(name)) is not None and not is_null(one.node):
                handler(draft, one)
            elif name in known:
                draft.report.lost(one, known[name])
            elif name in remedies.NOTHING_TO_DO:
                draft.report.without_effect(one, remedies.NOTHING_TO_DO[name])
    _open_to_all(draft)


def _budget(draft: Draft) -> None:
    found = of_section(draft, "litellm_settings", "max_budget")
    duration = of_section(draft, "litellm_settings", "budget_duration")
    if found is None:
        return
    if number(found) == 0:
        for given in filter(None, (found, duration)):
            draft.report.without_effect(given, "0 is no bound.")
        return
    budget = budget_of(found, duration)
    for one in (found, duration):
        if one is None:
            continue
        if isinstance(budget, str):
            draft.report.lost(one, budget)
        else:
            draft.report.changed(one, "limits.global.budget_usd", budget.message)
    if not isinstance(budget, str):
        draft.settings.setdefault("limits", {})["global"] = dict(budget.settings)


def _master_key(draft: Draft, found: Found) -> None:
    reference = concealed(draft, found, name="LLM_ADMIN_KEY")
    draft.put("auth.admin_key", reference)
    draft.put("auth.required", "always")
    message = f"It opens everything, also without a key of a caller. {told(found, reference)}".strip()
    draft.report.changed(found, "auth.admin_key", message)


def _open_to_all(draft: Draft) -> None:
    if "auth" in draft.settings:
        draft.report.add("auth.required", "With a master key LiteLLM asks everybody for a key, on this machine too.")
    else:
        message = (
            "The file has no master_key. Without auth.admin_key the service listens on this machine "
            "alone, and asks nobody for a key."
        )
        draft.report.add("", message)


def _at_once(draft: Draft, found: Found) -> None:
    value = whole(found)
    if value == 0:
        draft.report.carried(found, "", "0 is no bound.")
    elif value is None or not 0 < value <= MOST:
        draft.report.lost(found, _NOT_READ)
    else:
        draft.settings.setdefault("limits", {}).setdefault("global", {})["concurrent_requests"] = value
        draft.report.carried(found, "limits.global.concurrent_requests", "Over all processes.")


def _largest(draft: Draft, found: Found) -> None:
    value = number(found)
    if value is None or not 1024 <= value * _MIB <= 1024 * _MIB:
        draft.report.lost(found, _NOT_READ)
        return
    draft.put("server.max_body_bytes", int(value * _MIB))
    draft.report.carried(found, "server.max_body_bytes")


def _retention(draft: Draft, found: Found) -> None:
    value = seconds(found)
    if value is None or not _DAY_S <= value <= _MOST_DAYS * _DAY_S:
        draft.report.lost(found, "Records are kept for whole days: ledger.retention_days.")
        return
    draft.put("ledger.retention_days", int(value // _DAY_S))
    message = "Whole days. Sums and seals stay." if value % _DAY_S else "Sums and seals stay."
    draft.report.changed(found, "ledger.retention_days", message)


def _drop_params(draft: Draft, found: Found) -> None:
    message = (
        "What a provider lacks is dropped where it is a hint, and refused where it would change the "
        "answer (docs/decisions/0007)."
    )
    if flag(found):
        draft.report.changed(found, "", message)
    else:
        draft.report.carried(found, "", message)


def _end_users(draft: Draft, found: Found) -> None:
    budget = budget_of(found, None)
    if isinstance(budget, str):
        draft.report.lost(found, budget)
        return
    draft.settings.setdefault("limits", {})["per_user"] = dict(budget.settings)
    draft.report.changed(found, "limits.per_user.budget_usd", budget.message)


_GENERAL: Final[Mapping[str, Handler]] = {
    "master_key": _master_key,
    "global_max_parallel_requests": _at_once,
    "max_request_size_mb": _largest,
    "maximum_spend_logs_retention_period": _retention,
}
_LITELLM: Final[Mapping[str, Handler]] = {"drop_params": _drop_params, "max_end_user_budget": _end_users}
