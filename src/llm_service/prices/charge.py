"""What is charged for a request, and on whose word."""

from datetime import datetime
from typing import Final

from llm_service.domain import MOST_NANO_USD, Cost, CostSource, Usage, fact_in_order, nano_usd
from llm_service.prices.model_price import ModelPrice

NO_USAGE: Final = Usage(input_tokens=0, output_tokens=0)


@fact_in_order
class Charge:
    """Tokens and money of a record. ``price_date``: the day of the price (``2026-11-25``), where one was applied."""

    usage: Usage
    nano_usd: int
    cost_source: CostSource
    price_date: str | None = None


def charge(
    usage: Usage | None,
    cost: Cost | None,
    price: ModelPrice | None,
    at: datetime,
    *,
    estimated: bool = False,
    service_tier: str | None = None,
) -> Charge:
    """The charge of a request that began at ``at`` (aware).

    The provider's own figure counts, zero included; else tokens by price, as an ``estimate`` where the tokens are
    ``estimated``; where the price is unknown, nothing, and estimated tokens are marked all the same. Rounded
    once, at the end, to nano-USD, halves to the even one.
    """
    tokens = usage or NO_USAGE
    if cost is not None:
        return Charge(tokens, min(nano_usd(cost.usd), MOST_NANO_USD), cost.source)
    if usage is None or price is None:
        guessed = estimated and tokens.input_tokens + tokens.output_tokens > 0
        return Charge(tokens, 0, "estimate" if guessed else "none")
    cost_nano = price.cost_nano(usage, at, service_tier=service_tier)
    day = price.price_date(at)
    return Charge(
        usage,
        min(cost_nano, MOST_NANO_USD),
        "estimate" if estimated else "catalog",
        None if day is None else day.isoformat(),
    )
