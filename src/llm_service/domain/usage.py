"""Token counts and money of one request."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

CostSource = Literal["provider", "catalog", "estimate", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one request; the cached and the reasoning ones are parts of the first two, not extras."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Money for one request, in USD, and who says so."""

    usd: Decimal
    source: CostSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A model's price in USD per million tokens; ``None`` where it is not stated."""

    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    cached_input_usd: Decimal | None = None
