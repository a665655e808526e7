"""Token counts and costs, with the oddities of those who count."""

from decimal import Decimal
from typing import Any

import pytest

from llm_service.domain import Cost, Usage
from llm_service.providers.metering import cost_of, usage_of


def counts(prompt: Any = 10, completion: Any = 4, total: Any = None, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (counts(total=14), Usage(input_tokens=10, output_tokens=4)),
        (counts(total=20), Usage(input_tokens=10, output_tokens=10)),
        (counts(total=3), Usage(input_tokens=10, output_tokens=4)),
        (
            counts(prompt_tokens_details={"cached_tokens": 8}, completion_tokens_details={"reasoning_tokens": 3}),
            Usage(input_tokens=10, output_tokens=4, cached_input_tokens=8, reasoning_tokens=3),
        ),
        (
            counts(prompt_tokens_details={"cached_tokens": 11}, completion_tokens_details={"reasoning_tokens": 5}),
            Usage(input_tokens=10, output_tokens=4, cached_input_tokens=10, reasoning_tokens=4),
        ),
        (counts(prompt_cache_hit_tokens=6), Usage(input_tokens=10, output_tokens=4, cached_input_tokens=6)),
        (counts(prompt_tokens_details=None), Usage(input_tokens=10, output_tokens=4)),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8, output_tokens=0)),
        ({"total_tokens": 8}, Usage(input_tokens=8, output_tokens=0)),
        ({"input_tokens": 3, "output_tokens": 2}, Usage(input_tokens=3, output_tokens=2)),
        (counts(0, 0, 0), Usage(input_tokens=0, output_tokens=0)),
    ],
)
def test_usage_is_what_is_billed(told: dict[str, Any], usage: Usage) -> None:
    assert usage_of(told) == usage


@pytest.mark.parametrize("told", [None, {}, counts("10", None), counts(-1, None), counts(True, None), {"cost": 1}])
def test_counts_that_say_nothing_are_no_usage(told: dict[str, Any] | None) -> None:
    assert usage_of(told) is None


@pytest.mark.parametrize("absurd", [10**9, 10**30, -1, float("nan"), float("inf"), -0.5])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_a_figure_that_no_request_can_have_makes_the_others_worthless(name: str, absurd: float) -> None:
    assert usage_of({**counts(total=14), name: absurd}) is None
    assert usage_of({"output_tokens": 4, "input_tokens": absurd}) is None


def test_figures_that_are_too_much_together_are_no_usage() -> None:
    assert usage_of(counts(600_000_000, 600_000_000)) is None


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ('{"cost": 0.1}', "0.1"),
        ('{"cost": 1.6e-07}', "0.00000016"),
        ('{"cost": 0}', "0"),
        ('{"cost": 0.1, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.2}}', "0.3"),
        ('{"cost": 0.1, "is_byok": true, "cost_details": {"upstream_inference_cost": null}}', "0.1"),
        ('{"cost": 0.1, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.2}}', "0.1"),
    ],
)
def test_cost_is_exact_and_counts_what_byok_bills_elsewhere(usage: str, usd: str) -> None:
    assert cost_of(f'{{"usage": {usage}}}'.encode(), "usd") == Cost(Decimal(usd), "provider")


@pytest.mark.parametrize("cost", ['"0.1"', "null", "true", "-1", "1e999", "NaN", "1e99999999", "9" * 5000, "{}"])
def test_cost_that_is_no_money_is_none(cost: str) -> None:
    assert cost_of(f'{{"usage": {{"cost": {cost}}}}}'.encode(), "usd") is None


def test_cost_in_ticks_is_in_ten_billionths_of_a_dollar() -> None:
    assert cost_of(b'{"usage": {"cost_in_usd_ticks": 37756000}}', "usd_ticks") == Cost(Decimal("0.0037756"), "provider")


def test_cost_of_a_server_that_is_not_known_to_bill_is_none() -> None:
    assert cost_of(b'{"usage": {"cost": 0.1}}', None) is None


@pytest.mark.parametrize("usage", ['{"cost": 1000000}', '{"cost": 1e9}', '{"cost_in_usd_ticks": 1e16}'])
def test_a_cost_that_no_request_can_have_is_none(usage: str) -> None:
    form = "usd_ticks" if "ticks" in usage else "usd"
    assert cost_of(f'{{"usage": {usage}}}'.encode(), form) is None
