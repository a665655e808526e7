"""Money between decimals and whole nano-USD."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import nano_usd, usd_of, usd_text

AMOUNTS = st.decimals(min_value=0, max_value=9_000_000, places=15, allow_nan=False)


@pytest.mark.parametrize(
    ("usd", "nano"),
    [("0", 0), ("0.0000000005", 0), ("0.0000000015", 2), ("0.0000000016", 2), ("12.345678901", 12_345_678_901)],
)
def test_halves_go_to_the_even_nano(usd: str, nano: int) -> None:
    assert nano_usd(Decimal(usd)) == nano


@given(nano=st.integers(0, 2**53 - 1))
def test_text_and_decimal_lose_nothing(nano: int) -> None:
    assert nano_usd(Decimal(usd_text(nano))) == nano
    assert nano_usd(usd_of(nano)) == nano


@pytest.mark.parametrize(("nano", "text"), [(0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (10**10, "10")])
def test_text_is_a_plain_decimal_without_trailing_zeros(nano: int, text: str) -> None:
    assert usd_text(nano) == text
