"""What a price makes of usage: parts, lengths, hours, days, tiers; exact, and never above the worst case."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Price, PriceTerm, Usage, nano_usd
from llm_service.prices import ModelPrice

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def a_price(**usd: str) -> Price:
    amounts = {"input_usd": "2", "output_usd": "8", **usd}
    return Price(**{name: Decimal(amount) for name, amount in amounts.items()})


def a_model(*terms: PriceTerm | Price, **fields: object) -> ModelPrice:
    whole = tuple(one if isinstance(one, PriceTerm) else PriceTerm(price=one) for one in terms)
    return ModelPrice(terms=whole, origin="table", **fields)


def usage(input_tokens: int = 0, output_tokens: int = 0, cached: int = 0, reasoning: int = 0) -> Usage:
    return Usage(
        input_tokens=input_tokens, output_tokens=output_tokens, cached_input_tokens=cached, reasoning_tokens=reasoning
    )


def worst(model: ModelPrice, input_tokens: int, output_tokens: int, at: datetime, **tier: str) -> Decimal:
    """In USD, by decimals from the rates; and the whole number of nano-USD is the next one above."""
    ceiling = model.ceiling(at, **tier)
    musd = [a * input_tokens + b * output_tokens + one for above, a, b, one in ceiling.rates if input_tokens > above]
    usd = max(musd).scaleb(-6)
    assert ceiling.worst_case_nano(input_tokens=input_tokens, output_tokens=output_tokens) == ceil(usd.scaleb(9))
    return usd


@pytest.mark.parametrize(
    ("price", "used", "usd"),
    [
        (a_price(), usage(1000, 100), "0.0028"),
        (a_price(), usage(1000, 100, cached=400, reasoning=60), "0.0028"),
        (a_price(cached_input_usd="0.2"), usage(1000, 100, cached=400), "0.00208"),
        (a_price(cached_input_usd="0"), usage(1000, 0, cached=1000), "0"),
        (a_price(reasoning_usd="3"), usage(0, 100, reasoning=40), "0.0006"),
        (a_price(request_usd="0.005"), usage(1000, 0), "0.007"),
        (a_price(input_usd="0.0028"), usage(1, 0), "0.0000000028"),
    ],
)
def test_cost_is_exact_and_parts_are_no_extras(price: Price, used: Usage, usd: str) -> None:
    assert a_model(price).cost(used, NOON) == Decimal(usd)


def test_a_long_prompt_has_its_own_price_for_all_of_its_tokens() -> None:
    long = a_price(input_usd="4", output_usd="16")
    model = a_model(Price(input_usd=Decimal(2), output_usd=Decimal(8), above=((200_000, long),)))
    assert model.cost(usage(200_000, 10), NOON) == Decimal("0.40008")
    assert model.cost(usage(200_001, 10), NOON) == Decimal("0.800164")


PEAK = PriceTerm(price=a_price(input_usd="9"), hours=(time(1), time(4)))
NIGHT = PriceTerm(price=a_price(input_usd="9"), hours=(time(22), time(4)))


@pytest.mark.parametrize(
    ("term", "at", "usd"),
    [
        (PEAK, datetime(2026, 11, 25, 0, 59, 59, tzinfo=UTC), 2),
        (PEAK, datetime(2026, 11, 25, 1, 0, tzinfo=UTC), 9),
        (PEAK, datetime(2026, 11, 25, 3, 59, 59, tzinfo=UTC), 9),
        (PEAK, datetime(2026, 11, 25, 4, 0, tzinfo=UTC), 2),
        (PEAK, datetime(2026, 11, 25, 10, 30, tzinfo=timezone(timedelta(hours=8))), 9),
        (NIGHT, datetime(2026, 11, 25, 23, 0, tzinfo=UTC), 9),
        (NIGHT, datetime(2026, 11, 25, 3, 0, tzinfo=UTC), 9),
        (NIGHT, datetime(2026, 11, 25, 12, 0, tzinfo=UTC), 2),
    ],
)
def test_hours_are_in_utc_and_may_pass_midnight(term: PriceTerm, at: datetime, usd: int) -> None:
    assert a_model(a_price(), term).cost(usage(1_000_000), at) == usd


def test_a_price_holds_from_its_day_on() -> None:
    model = a_model(a_price(), PriceTerm(price=a_price(input_usd="1"), since=date(2026, 11, 26)))
    midnight = datetime(2026, 11, 26, tzinfo=UTC)
    assert model.cost(usage(1_000_000), midnight - timedelta(microseconds=1)) == 2
    assert model.cost(usage(1_000_000), midnight) == 1


def test_a_service_tier_has_its_price_where_one_is_stated() -> None:
    model = a_model(a_price(), service_tiers={"priority": (PriceTerm(price=a_price(input_usd="4")),)})
    costs = [model.cost(usage(1_000_000), NOON, service_tier=tier) for tier in (None, "auto", "priority")]
    assert costs == [2, 2, 4]


def test_worst_case_is_the_dearest_hour_without_a_discount_and_with_what_keeping_costs() -> None:
    cheap = Price(input_usd=Decimal(2), output_usd=Decimal(8), cached_input_usd=Decimal("0.2"))
    assert worst(a_model(cheap, PEAK), 1_000_000, 0, NOON) == 9
    assert worst(a_model(a_price(cache_write_usd="2.5")), 1_000_000, 0, NOON) == Decimal("2.5")


def test_worst_case_looks_a_day_ahead_and_not_at_the_past() -> None:
    before = a_price(input_usd="50")
    soon = PriceTerm(price=a_price(input_usd="3"), since=date(2026, 11, 26))
    later = PriceTerm(price=a_price(input_usd="70"), since=date(2026, 12, 26))
    model = a_model(before, PriceTerm(price=a_price(), since=date(2026, 1, 1)), soon, later)
    assert worst(model, 1_000_000, 0, NOON) == 3
    assert worst(model, 1_000_000, 0, NOON - timedelta(days=2)) == 2
    assert worst(model, 1_000_000, 0, NOON + timedelta(days=40)) == 70


def test_worst_case_of_a_tier_is_at_least_the_plain_one() -> None:
    model = a_model(a_price(), service_tiers={"flex": (PriceTerm(price=a_price(input_usd="1")),)})
    assert worst(model, 1_000_000, 0, NOON, service_tier="flex") == 2


amounts = st.decimals(0, 1000, places=6)
plain = st.builds(
    Price,
    input_usd=amounts,
    output_usd=amounts,
    cached_input_usd=st.none() | amounts,
    cache_write_usd=st.none() | amounts,
    reasoning_usd=st.none() | amounts,
    request_usd=st.none() | amounts,
)
lengths = st.lists(st.integers(0, 1000), max_size=2, unique=True).map(sorted)
prices = st.builds(
    lambda price, steps, others: Price(
        **{name: getattr(price, name) for name in ("input_usd", "output_usd", "cached_input_usd", "request_usd")},
        above=tuple(zip(steps, others, strict=False)),
    ),
    plain, lengths, st.lists(plain, min_size=2, max_size=2),
)  # fmt: skip
terms = st.builds(
    PriceTerm,
    price=prices,
    since=st.none() | st.dates(date(2026, 11, 20), date(2026, 11, 30)),
    hours=st.none() | st.tuples(st.times(), st.times()),
)
counts = st.integers(0, 2000)
moments = st.datetimes(datetime(2026, 11, 19), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(terms, min_size=1, max_size=4), counts, counts, st.data())
def test_no_request_of_so_many_tokens_or_fewer_exceeds_its_worst_case(
    given_terms: list[PriceTerm], input_tokens: int, output_tokens: int, data: st.DataObject
) -> None:
    model = a_model(*given_terms)
    at = data.draw(moments)
    most = worst(model, input_tokens, output_tokens, at)
    used_input = data.draw(st.integers(0, input_tokens))
    used_output = data.draw(st.integers(0, output_tokens))
    used = usage(used_input, used_output, data.draw(st.integers(0, used_input)), data.draw(st.integers(0, used_output)))
    end = at + data.draw(st.timedeltas(timedelta(0), timedelta(days=1)))
    assert 0 <= model.cost(used, end) <= most


@given(prices, counts, counts, st.data())
def test_cost_equals_the_sum_of_its_parts(
    price: Price, input_tokens: int, output_tokens: int, data: st.DataObject
) -> None:
    cached, reasoning = data.draw(st.integers(0, input_tokens)), data.draw(st.integers(0, output_tokens))
    held = next((other for above, other in reversed(price.above) if input_tokens > above), price)
    cached_usd = held.input_usd if held.cached_input_usd is None else held.cached_input_usd
    reasoning_usd = held.output_usd if held.reasoning_usd is None else held.reasoning_usd
    micro_usd = (
        held.input_usd * (input_tokens - cached) + cached_usd * cached
        + held.output_usd * (output_tokens - reasoning) + reasoning_usd * reasoning
    )  # fmt: skip
    expected = micro_usd / 1_000_000 + (held.request_usd or 0)
    assert a_model(price).cost(usage(input_tokens, output_tokens, cached, reasoning), NOON) == expected


@given(
    st.lists(terms, min_size=1, max_size=4),
    st.builds(usage, *[st.integers(0, 10**7)] * 4),
    moments,
    st.none() | st.sampled_from(["priority", "unknown"]),
)
def test_whole_numbers_come_to_what_decimals_come_to_rounded_once(
    given_terms: list[PriceTerm], used: Usage, at: datetime, tier: str | None
) -> None:
    model = a_model(*given_terms, service_tiers={"priority": given_terms[-1:]})
    for _ in range(2):
        assert model.cost_nano(used, at, service_tier=tier) == nano_usd(model.cost(used, at, service_tier=tier))


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_halves_of_a_nano_usd_go_to_the_even_one(tokens: int, nano: int) -> None:
    assert a_model(a_price(input_usd="0.0005")).cost_nano(usage(tokens), NOON) == nano
