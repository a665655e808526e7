"""Tries a provider: its catalogue and its account, which cost nothing, and what is wrong where they fail."""

from typing import Any

from llm_service.domain import LLMServiceError
from llm_service.providers import Account, Provider
from llm_service.runtime import Clock
from llm_service.services.diagnosis import Diagnosis, Site, diagnose, no_money
from llm_service.services.models import parsed

Trial = dict[str, Any]


async def tried(provider: Provider, site: Site, clock: Clock) -> Trial:
    """What came of it, as the interface shows it: ``ok``, and the figures, or what is wrong and what to do."""
    began = clock.monotonic()
    known: Trial = {"name": provider.name, "ok": False}
    try:
        known["models"] = len(await parsed(provider, await provider.catalogue()))
        account = await provider.account()
    except LLMServiceError as error:
        known |= {"code": error.code, "error": error.message} | _said(diagnose(error, site))
    else:
        known |= _of_account(account)
        if not account.usable:
            known |= {"code": "upstream_no_balance", "error": "The account has no balance."} | _said(no_money(site))
    return {**known, "duration_ms": round((clock.monotonic() - began) * 1000)}


def _of_account(account: Account) -> Trial:
    known: Trial = {"ok": account.usable}
    if account.balance is not None:
        known["balance"] = f"{account.balance} {account.currency or ''}".strip()
    if account.limit_remaining_usd is not None:
        known["limit_remaining_usd"] = str(account.limit_remaining_usd)
    return known


def _said(diagnosis: Diagnosis) -> Trial:
    return {"problem": diagnosis.problem, "remedy": diagnosis.remedy}
