"""Money: decimals in USD wherever it is reckoned with, whole nano-USD wherever it is stored or counted."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

NANO: Final = Decimal("1e-9")
MOST_NANO_USD: Final = 2**53 - 1
"""Scripts in the stores count exactly up to here: nine million USD."""


def nano_usd(usd: Decimal) -> int:
    """Whole nano-USD, halves to the even one."""
    return int(usd.scaleb(9).to_integral_value(ROUND_HALF_EVEN))


def usd_of(nano: int) -> Decimal:
    """USD from whole nano-USD."""
    return Decimal(nano) * NANO


def usd_text(nano: int) -> str:
    """USD as the interface writes it: a plain decimal without trailing zeros."""
    if nano < 0:
        return f"-{usd_text(-nano)}"
    whole, part = divmod(nano, 10**9)
    return f"{whole}.{part:09d}".rstrip("0") if part else str(whole)
