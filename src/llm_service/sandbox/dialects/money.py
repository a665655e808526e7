"""Exact money: decimal prices, and decimals as JSON numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import orjson

from llm_service.sandbox.answer import Counts


@dataclass(frozen=True, slots=True)
class Price:
    """USD per token."""

    input_usd: Decimal
    output_usd: Decimal
    cached_usd: Decimal | None = None

    def input_cost(self, counts: Counts) -> Decimal:
        """USD for the prompt; cached tokens have their own price."""
        cached = self.input_usd if self.cached_usd is None else self.cached_usd
        return self.input_usd * (counts.input - counts.cached) + cached * counts.cached

    def output_cost(self, counts: Counts) -> Decimal:
        """USD for the answer, reasoning included."""
        return self.output_usd * counts.output


def json_number(amount: Decimal) -> orjson.Fragment:
    """An exact JSON number, written as JavaScript does: with an exponent below one millionth."""
    if not amount:
        return orjson.Fragment(b"0")
    plain = amount.normalize()
    if abs(plain) >= Decimal("0.000001"):
        return orjson.Fragment(format(plain, "f").encode())
    mantissa, exponent = format(plain, "e").split("e")
    return orjson.Fragment(f"{mantissa}e{int(exponent)}".encode())
