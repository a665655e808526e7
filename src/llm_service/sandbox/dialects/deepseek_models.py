"""DeepSeek's models and prices as the sandbox has them (state of November 2026)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from llm_service.domain import fact_in_order
from llm_service.sandbox.money import Price

MAX_OUTPUT_TOKENS: Final = 393_216

_PEAK_HOURS: Final = frozenset((1, 2, 3, 6, 7, 8, 9))  # UTC, Monday to Friday
_MILLION: Final = 1_000_000


@fact_in_order
class Model:
    """One model; prices in USD per million tokens, off-peak. At peak hours they double."""

    id: str
    vision: bool
    hit_usd: str
    miss_usd: str
    output_usd: str

    def price(self, at: float) -> Price:
        """USD per token at a moment."""
        moment = datetime.fromtimestamp(at, UTC)
        peak = moment.hour in _PEAK_HOURS and moment.weekday() < 5
        factor = Decimal(2 if peak else 1) / _MILLION
        return Price(Decimal(self.miss_usd) * factor, Decimal(self.output_usd) * factor, Decimal(self.hit_usd) * factor)


FLASH: Final = Model("deepseek-flash", vision=True, hit_usd="0.003", miss_usd="0.15", output_usd="0.60")
PRO: Final = Model("deepseek-v4-pro", vision=False, hit_usd="0.022", miss_usd="0.66", output_usd="1.98")

LISTED: Final = (FLASH, PRO)
ACCEPTED: Final = {
    FLASH.id: FLASH,
    PRO.id: PRO,
    "deepseek-v4-flash": FLASH,
    "deepseek-v4-flash-vision-exp": FLASH,
}
