"""What a caller is told when a limit has no room: which one, how full it is, and when to come back."""

from collections.abc import Mapping
from typing import Final

from llm_service.domain import (
    BudgetExceeded,
    ConcurrencyLimited,
    Limit,
    LimitReached,
    RateLimited,
    Refused,
    usd_text,
)

RETRY_CONCURRENT_S: Final = 1.0
_OF: Final[Mapping[str, str]] = {
    "global": "of this service",
    "model": "of the model `{}`",
    "key": "of this api key",
    "user": "of this user",
    "provider": "of the provider `{}`",
}
_NAMED: Final = ("model", "provider")


def refusal(refused: Refused) -> LimitReached:
    """The error of a refusal."""
    limit, taken = refused.limit, refused.used + refused.reserved
    whose = _OF[limit.scope]
    if limit.scope in _NAMED:
        whose = whose.format(limit.subject[:200])
    stands = {"limit": limit, "used": refused.used, "reserved": refused.reserved}
    match limit.kind:
        case "concurrency":
            said = f"The limit {whose} of {limit.amount} requests at once has no room: {taken} are running."
            return ConcurrencyLimited(said, retry_after_s=RETRY_CONCURRENT_S, **stands)  # type: ignore[arg-type]
        case "money":
            return BudgetExceeded(_no_money(limit, whose, taken), **stands)  # type: ignore[arg-type]
        case _:
            said = f"The limit {whose} of {limit.amount} {limit.kind} a minute has no room: {taken} are taken."
            wait_s = refused.wait_s
            said += f" Try again in {wait_s} s." if wait_s is not None else _TOO_LARGE
            return RateLimited(said, retry_after_s=None if wait_s is None else float(wait_s), **stands)  # type: ignore[arg-type]


_TOO_LARGE: Final = " The request may use more than the whole limit: shorten its prompt or lower max_tokens."


def _no_money(limit: Limit, whose: str, taken: int) -> str:
    period = "in total" if limit.period == "total" else f"a {limit.period}"
    return (
        f"The budget {whose} of {usd_text(limit.amount)} USD {period} does not pay for this request: "
        f"{usd_text(taken)} USD are spent or reserved."
    )
