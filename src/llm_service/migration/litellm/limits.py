"""Bounds and budgets as LiteLLM writes them, within what can be set here."""

from decimal import Decimal
from typing import Any, Final

from llm_service.domain import MOST_NANO_USD, fact, usd_of
from llm_service.migration.litellm.values import number, period, seconds, whole
from llm_service.migration.source import Found

MOST_RETRIES: Final = 10
LONGEST_S: Final = 86400
MOST: Final = 10**12
"""Of requests and tokens by the minute, and of requests at once."""
_MONEY: Final = (
    "Money is counted exactly: a request that could pass the budget is refused before it is sent, and so is one whose "
    "price nobody knows, unless limits.unknown_price is allow (LiteLLM counts it as 0)."
)
_PERIODS: Final = {
    "hour": "by the hour",
    "day": "by the day",
    "week": "by the week",
    "month": "by the month",
    "total": "for good, since the file names no duration",
}


@fact
class Budget:
    """Settings of a limit, and what to know of it."""

    settings: dict[str, Any]
    message: str


def budget_of(found: Found, duration: Found | None) -> Budget | str:
    """A budget, or why there is none."""
    amount, span = number(found), period(duration)
    least, most = Decimal("0.000000001"), int(usd_of(MOST_NANO_USD))
    if amount is None or not (amount == 0 or least <= amount <= most):
        return "It is no amount of money that can be set: give it as budget_usd, a number of US dollars."
    if span is None:
        return (
            "Budgets are for an hour, a day, a week, a month or for good here. Set budget_usd and "
            "budget_period by hand, "
            "for the period that comes closest."
        )
    rounded = amount.quantize(least).normalize()
    settings = {"budget_usd": rounded, "budget_period": span}
    calendar = "" if span == "total" else ", of the calendar in UTC rather than from the first request on"
    return Budget(settings=settings, message=f"It is counted {_PERIODS[span]}{calendar}. {_MONEY}")


def timeout_of(found: Found) -> Decimal | None:
    """Seconds that can be set; None where they are none."""
    value = seconds(found)
    return value if value is not None and 0 < value <= LONGEST_S else None


def retries_of(found: Found) -> int | None:
    """Retries, at most as many as can be set; None where it is no number of them."""
    value = whole(found)
    return None if value is None or value < 0 else min(value, MOST_RETRIES)
