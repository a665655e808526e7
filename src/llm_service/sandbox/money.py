"""Exact money: decimal prices, and decimals as JSON numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import orjson

from llm_service.domain import fact_in_order

_SMALLEST_PLAIN: Final = Decimal("0.000001")


@fact_in_order
class Price:
    """USD per token. Without a price of their own, cached tokens cost what others cost."""

    input_usd: Decimal
    output_usd: Decimal
    cached_usd: Decimal | None = None

    def prompt_usd(self, input_tokens: int, cached_tokens: int) -> Decimal:
        """Cost of a prompt; cached tokens are a part of the input tokens."""
        cached = self.input_usd if self.cached_usd is None else self.cached_usd
        return self.input_usd * (input_tokens - cached_tokens) + cached * cached_tokens

    def completion_usd(self, output_tokens: int) -> Decimal:
        """Cost of an answer, reasoning included."""
        return self.output_usd * output_tokens


def json_number(amount: Decimal) -> orjson.Fragment:
    """An exact JSON number, written as JavaScript does: with an exponent below one millionth."""
    plain = amount.normalize()
    if not plain:
        return orjson.Fragment(b"0")
    if abs(plain) >= _SMALLEST_PLAIN:
        return orjson.Fragment(format(plain, "f").encode())
    mantissa, _, exponent = format(plain, "e").partition("e")
    return orjson.Fragment(f"{mantissa}e{int(exponent)}".encode())
