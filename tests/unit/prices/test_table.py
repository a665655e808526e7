"""The table against its source: for every model, any usage and any moment, to the last digit."""

import json
import random
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from importlib.resources import files
from time import perf_counter
from typing import Any

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

from llm_service.domain import Usage
from llm_service.prices.table import PriceTable, load_table
from tests.support.timed import within

THEIRS = {
    "openrouter": "openrouter", "deepseek": "deepseek", "openai": "openai", "azure": "azure", "groq": "groq",
    "together": "together", "mistral": "mistral", "gemini": "google", "xai": "x-ai",
}  # fmt: skip
TOKEN_PRICES = ("input_mtok", "output_mtok")
TIERS = (None, "flex", "priority", "fast", "default")


@pytest.fixture(scope="module")
def table() -> PriceTable:
    return load_table()


@pytest.fixture(scope="module")
def chance() -> random.Random:
    return random.Random(20261125)


def literals(clause: Any) -> Iterator[str]:
    """Names that a clause may be meant for."""
    match clause:
        case types.ClauseOr(or_=clauses) | types.ClauseAnd(and_=clauses):
            for one in clauses:
                yield from literals(one)
        case types.ClauseRegex():
            return
        case _:
            (text,) = vars(clause).values()
            yield from (text, text.upper(), f"{text}-20260131", f"a/{text}", f"{text}:free")


def names_of(list_name: str) -> list[str]:
    snapshot = get_snapshot()
    provider = snapshot.find_provider(None, THEIRS[list_name], None)
    others = [one for one in snapshot.providers if one.id in (provider.fallback_model_providers or ())]
    models = [model for one in (provider, *others) for model in one.models]
    return list(dict.fromkeys(name for model in models for name in (model.id, *literals(model.match))))


def moments(model: types.ModelInfo, chance: random.Random) -> list[datetime]:
    """Some moments, and those around which a price changes."""
    found = [datetime(2026, 11, 25, chance.randrange(24), chance.randrange(60), tzinfo=UTC)]
    found.append(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(4 * 365 * 86400)))
    conditions = [one.constraint for one in model.prices] if isinstance(model.prices, list) else []
    conditions += [one.constraint for one in model.price_variants or ()]
    for condition in conditions:
        if isinstance(condition, types.StartDateConstraint):
            midnight = datetime.combine(condition.start_date, datetime.min.time(), UTC)
            found += [midnight, midnight - timedelta(microseconds=1)]
        elif isinstance(condition, types.TimeOfDateConstraint):
            for moment in (condition.start_time, condition.end_time):
                at = datetime.combine(date(2026, 11, 20), moment)
                found += [at, at - timedelta(seconds=1)]
    return list(dict.fromkeys(found))


def usages(model: types.ModelInfo, chance: random.Random) -> list[Usage]:
    """Some usages, and those around which a longer prompt has another price."""
    prices = [one.prices for one in model.prices] if isinstance(model.prices, list) else [model.prices]
    starts = {
        tier.start for one in prices for price in vars(one).values() if isinstance(price, types.TieredPrices)
        for tier in price.tiers
    }  # fmt: skip
    lengths = [0, chance.randrange(3_000), chance.randrange(2_000_000), *starts, *(start + 1 for start in starts)]
    return [
        Usage(
            input_tokens=length,
            output_tokens=(output := chance.randrange(50_000)),
            cached_input_tokens=chance.randint(0, length),
            reasoning_tokens=chance.randint(0, output),
        )
        for length in dict.fromkeys(lengths)
    ]


def in_tokens(model: types.ModelInfo) -> bool:
    """Whether it costs something by tokens, or nothing because it is a free variant."""
    prices = [one.prices for one in model.prices] if isinstance(model.prices, list) else [model.prices]
    return model.id.endswith(":free") or all(one.input_mtok is not None for one in prices)


def their_cost(model: types.ModelInfo, usage: Usage, at: datetime, tier: str | None, provider: types.Provider) -> Any:
    counts = TheirUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    context = None if tier is None else {"service_tier": tier}
    return model.calc_price(counts, provider, genai_request_timestamp=at, price_context=context).total_price


@pytest.mark.parametrize("list_name", THEIRS)
def test_every_cost_is_that_of_the_source(list_name: str, table: PriceTable, chance: random.Random) -> None:
    snapshot = get_snapshot()
    compared = 0
    for name in names_of(list_name):
        ours = table.find(list_name, name)
        try:
            provider, model = snapshot.find_provider_model(name, None, THEIRS[list_name], None)
        except LookupError:
            assert ours is None, name
            continue
        if not in_tokens(model):  # theirs is then zero, since they count what we never see: unknown here
            assert ours is None, name
            continue
        assert ours is not None, name
        for at in moments(model, chance):
            usage = chance.choice(usages(model, chance))
            tier = chance.choice(TIERS)
            assert ours.cost(usage, at, service_tier=tier) == their_cost(model, usage, at, tier, provider), (
                name,
                at,
                usage,
            )
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("list_name", THEIRS)
def test_every_step_of_a_price_by_length_is_that_of_the_source(
    list_name: str, table: PriceTable, chance: random.Random
) -> None:
    provider = get_snapshot().find_provider(None, THEIRS[list_name], None)
    for model in provider.models:
        ours = table.find(list_name, model.id)
        if ours is None or get_snapshot().find_provider_model(model.id, None, provider.id, None)[1] is not model:
            continue
        at = datetime(2026, 11, 25, chance.randrange(24), tzinfo=UTC)
        for usage in usages(model, chance):
            assert ours.cost(usage, at) == their_cost(model, usage, at, None, provider), (model.id, usage)


def test_no_request_costs_more_than_its_worst_case(table: PriceTable, chance: random.Random) -> None:
    for list_name, theirs in THEIRS.items():
        for model in get_snapshot().find_provider(None, theirs, None).models:
            ours = table.find(list_name, model.id)
            if ours is None:
                continue
            for at in moments(model, chance):
                usage, tier = chance.choice(usages(model, chance)), chance.choice(TIERS)
                later = at + timedelta(minutes=chance.randrange(24 * 60))
                most = ours.ceiling(at, service_tier=tier).worst_case_nano(
                    input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
                )
                assert ours.cost(usage, later, service_tier=tier) * 10**9 <= most, (model.id, at, usage)


def test_table_says_where_it_comes_from_and_is_that_of_the_pinned_source() -> None:
    source = json.loads(files("llm_service.prices").joinpath("table.json").read_bytes())["source"]
    assert (source["name"], source["version"]) == ("genai-prices", version("genai-prices"))
    assert date.fromisoformat(source["date"]) <= datetime.now(UTC).date()
    assert "MIT" in source["note"]


@pytest.mark.timed
def test_table_is_small_and_soon_read() -> None:
    load_table()
    started = perf_counter()
    load_table()
    took_s = perf_counter() - started
    tracemalloc.start()
    kept = load_table()
    used_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.find("deepseek", "deepseek-flash") is not None
    assert used_bytes < 5_000_000
    within(took_s, 0.2)  # 20 ms are meant; this machine may be busy
