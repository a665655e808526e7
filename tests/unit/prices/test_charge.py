"""Whose figure is charged, and that it is rounded once."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import MOST_NANO_USD, Cost, Price, PriceTerm, Usage
from llm_service.prices import Charge, ModelPrice, charge

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
USED = Usage(input_tokens=1000, output_tokens=100)


def a_price(input_usd: str = "2", output_usd: str = "8") -> ModelPrice:
    price = Price(input_usd=Decimal(input_usd), output_usd=Decimal(output_usd))
    return ModelPrice(terms=(PriceTerm(price=price),), origin="table", stated_on=NOON.date())


def test_the_providers_own_figure_wins() -> None:
    expected = Charge(usage=USED, nano_usd=1_234_500, cost_source="provider")
    assert charge(USED, Cost(Decimal("0.0012345"), "provider"), a_price(), NOON) == expected


def test_a_providers_zero_is_zero() -> None:
    assert charge(USED, Cost(Decimal(0), "provider"), a_price(), NOON).nano_usd == 0
    assert charge(USED, Cost(Decimal(0), "provider"), a_price(), NOON).cost_source == "provider"


@pytest.mark.parametrize(("estimated", "source"), [(False, "catalog"), (True, "estimate")])
def test_tokens_are_charged_by_price_and_estimated_ones_are_marked(estimated: bool, source: str) -> None:
    expected = Charge(usage=USED, nano_usd=2_800_000, cost_source=source, price_date="2026-11-25")
    assert charge(USED, None, a_price(), NOON, estimated=estimated) == expected


def test_an_unknown_price_charges_nothing_and_says_so() -> None:
    assert charge(USED, None, None, NOON) == Charge(usage=USED, nano_usd=0, cost_source="none")


def test_estimated_tokens_of_an_unknown_price_are_marked_and_none_are_not() -> None:
    assert charge(USED, None, None, NOON, estimated=True) == Charge(usage=USED, nano_usd=0, cost_source="estimate")
    nothing = Usage(input_tokens=0, output_tokens=0)
    assert charge(nothing, None, None, NOON, estimated=True).cost_source == "none"


def test_nothing_used_is_nothing_charged() -> None:
    nothing = Usage(input_tokens=0, output_tokens=0)
    assert charge(None, None, a_price(), NOON) == Charge(usage=nothing, nano_usd=0, cost_source="none")


@pytest.mark.parametrize(
    ("input_usd", "tokens", "nano"),
    [("0.0005", 1, 0), ("0.0015", 1, 2), ("0.0025", 1, 2), ("0.0035", 1, 4), ("0.00251", 1, 3), ("0.0005", 3, 2)],
)
def test_halves_go_to_the_even_nano_dollar_once_at_the_end(input_usd: str, tokens: int, nano: int) -> None:
    used = Usage(input_tokens=tokens, output_tokens=0)
    assert charge(used, None, a_price(input_usd), NOON).nano_usd == nano


def test_no_charge_is_more_than_the_stores_can_count() -> None:
    assert charge(USED, Cost(Decimal(10**12), "provider"), None, NOON).nano_usd == MOST_NANO_USD


@given(st.decimals(0, 1000, places=9), st.decimals(0, 1000, places=9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_charge_is_within_half_a_nano_dollar_of_the_exact_cost(
    input_usd: Decimal, output_usd: Decimal, input_tokens: int, output_tokens: int
) -> None:
    price = a_price(str(input_usd), str(output_usd))
    used = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    exact_nano = (input_usd * input_tokens + output_usd * output_tokens) * 1000
    assert abs(charge(used, None, price, NOON).nano_usd - exact_nano) <= Decimal("0.5")
