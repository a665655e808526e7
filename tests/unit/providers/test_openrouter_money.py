"""OpenRouter's prices, by length of the prompt and hour of the day, and its records of generations."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import LLMServiceError, ModelInfo, Usage
from llm_service.prices import PriceBook, PriceOptions
from llm_service.providers import Dialect, ProviderOptions, dialect_for
from llm_service.providers.openrouter_money import generation_of, prices_of
from tests.support.clock import ManualClock

PLAIN = {"prompt": "0.000002", "completion": "0.000008", "input_cache_read": "0.0000002", "request": "0"}


@pytest.fixture
def openrouter() -> Dialect:
    return dialect_for("openrouter", ProviderOptions(), ManualClock())


def usd(pricing: dict[str, Any], *, hour: int = 12, tokens: int = 1_000_000, cached: int = 0) -> Decimal | None:
    """What so much input costs at that hour, by way of the book."""
    price, terms = prices_of(pricing)
    info = ModelInfo(id="m", owned_by="o", price=price, price_terms=terms)
    own: dict[str, PriceOptions] = {}
    found = PriceBook(lists={}, prices=own, live=lambda provider, model: info).price("openrouter", "m")
    used = Usage(input_tokens=tokens, output_tokens=0, cached_input_tokens=cached)
    return None if found is None else found.cost(used, datetime(2026, 11, 25, hour, tzinfo=UTC))


def test_prices_are_told_per_token_and_kept_per_million() -> None:
    assert usd(PLAIN) == 2
    assert usd(PLAIN, cached=1_000_000) == Decimal("0.2")
    assert usd({**PLAIN, "request": "0.01"}) == Decimal("2.01")


def test_a_price_for_long_prompts_holds_from_its_length_on() -> None:
    pricing = {**PLAIN, "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000004"}]}
    assert usd(pricing, tokens=199_999) == Decimal("0.399998")
    assert usd(pricing, tokens=200_000) == Decimal("0.8")


def test_a_price_by_the_hour_holds_at_that_hour() -> None:
    peak = {"utc_start": "0100", "utc_end": "0400", "prompt": "0.000004"}
    long = {"min_prompt_tokens": 1_000_000, "prompt": "0.000003"}
    pricing = {**PLAIN, "overrides": [long, peak]}
    costs = [usd(pricing, hour=hour, tokens=tokens) for hour in (0, 1, 3, 4) for tokens in (1_000, 1_000_000)]
    assert costs == [Decimal(cost) for cost in ("0.002", "3", "0.004", "4", "0.004", "4", "0.002", "3")]


@pytest.mark.parametrize("days", [{"utc_days": ["sat"]}, {"utc_start": "soon"}])
def test_a_price_of_unclear_times_counts_where_it_is_dearer(days: dict[str, Any]) -> None:
    assert usd({**PLAIN, "overrides": [{**days, "prompt": "0.000004"}]}) == 4
    assert usd({**PLAIN, "overrides": [{**days, "prompt": "0.000001"}]}) == 2


@pytest.mark.parametrize(
    "pricing",
    [None, [], {}, {"prompt": "-1", "completion": "-1"}, {"prompt": "1"}, {"prompt": "NaN", "completion": "1"}],
)
def test_what_is_no_price_is_not_taken_for_zero(pricing: Any) -> None:
    assert usd(pricing) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6), st.lists, max_leaves=3
)
names = st.sampled_from(["prompt", "completion", "request", "min_prompt_tokens", "utc_start", "utc_end", "utc_days"])


@given(st.dictionaries(names, values), st.lists(st.dictionaries(names, values) | values) | values)
def test_prices_of_anything_are_read(pricing: dict[str, Any], overrides: Any) -> None:
    price, terms = prices_of({**pricing, "overrides": overrides})
    assert price is None or all(term.price is not None for term in terms)


def test_record_is_asked_for_by_the_quoted_id(openrouter: Dialect) -> None:
    assert openrouter.generation_path("gen-1&x=/../key") == "/generation?id=gen-1%26x%3D%2F..%2Fkey"


@pytest.mark.parametrize(
    "told", [{}, {"total_cost": None}, {"total_cost": -1}, {"total_cost": "much"}, {"total_cost": 1e9}]
)
def test_a_record_without_a_cost_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(LLMServiceError):
        generation_of(json.dumps({"data": told}).encode())


def test_a_record_may_be_silent_about_tokens() -> None:
    record = generation_of(b'{"data": {"total_cost": 0}}')
    assert (record.cost_usd, record.input_tokens, record.cached_input_tokens) == (0, None, None)


def test_other_servers_keep_no_records() -> None:
    assert dialect_for("deepseek", ProviderOptions(), ManualClock()).generation_path("x") is None
