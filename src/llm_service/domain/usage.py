"""Token counts and money of one request."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal

from llm_service.domain.fact import fact, fact_in_order

CostSource = Literal["provider", "catalog", "estimate", "none"]


@fact_in_order
class Usage:
    """Tokens of one request; the cached and the reasoning ones are parts of the first two, not extras."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


@fact_in_order
class Cost:
    """Money for one request, in USD, and who says so."""

    usd: Decimal
    source: CostSource


@fact
class Price:
    """A model's price in USD per million tokens; ``None`` where it is not stated.

    Cached input without a price of its own costs as other input, reasoning as other output. ``cache_write_usd``: the
    dearest way of keeping input in the provider's prompt cache. ``request_usd``: USD for each request. ``above``: what
    holds instead for all tokens of a request whose input has more than so many, the fewest first.
    """

    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    cached_input_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    reasoning_usd: Decimal | None = None
    request_usd: Decimal | None = None
    above: tuple[tuple[int, "Price"], ...] = ()


@fact
class PriceTerm:
    """A price and when it holds, all in UTC: from a day on, and each day from a time to another (past midnight too)."""

    price: Price
    since: date | None = None
    hours: tuple[time, time] | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it holds at an aware moment."""
        utc = at.astimezone(UTC)
        if self.since is not None and utc.date() < self.since:
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        now = utc.time()
        return start <= now < end if start <= end else now >= start or now < end
