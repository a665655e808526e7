"""Makes the price table of the service from genai-prices: what a request for text costs at the providers we know, and
how long it may be.

``price_table.py [--date YYYY-MM-DD]``; the date says when the prices were taken, by default today. Facts alone are
taken: names, prices, dates. Left out is what the service never sees in a usage: prices of sounds, pages and searches,
and of batches.
"""

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from genai_prices import types
from genai_prices.data import providers

TABLE: Final = Path(__file__).parents[1] / "src" / "llm_service" / "prices" / "table.json"
# By our name of the list (a row of the provider catalogue, or what another list falls back to): its name there.
LISTS: Final = {
    "openrouter": "openrouter", "deepseek": "deepseek", "openai": "openai", "azure": "azure", "groq": "groq",
    "together": "together", "mistral": "mistral", "gemini": "google", "xai": "x-ai", "anthropic": "anthropic",
    "moonshotai": "moonshotai",
}  # fmt: skip
FIELDS: Final = {
    "in": ("input_mtok",),
    "out": ("output_mtok",),
    "cached": ("cache_read_mtok",),
    "write": ("cache_write_mtok", "cache_write_5m_mtok", "cache_write_1h_mtok"),
    "reasoning": ("output_reasoning_mtok",),
    "request": ("requests_kcount",),
}
SERVICE_TIERS: Final = ("flex", "priority", "fast")
NOTE: Final = (
    "Facts taken from genai-prices, Copyright (c) Pydantic Services Inc., MIT licence. Made by scripts/update-prices."
)


@dataclass(frozen=True)
class Term:
    prices: Mapping[str, Any]
    since: date | None = None
    hours: tuple[time, time] | None = None

    def row(self) -> dict[str, Any] | None:
        """The term as the table has it; None where tokens have no price."""
        steps = sorted({tier.start for price in self.prices.values() for tier in tiers_of(price)})
        row: dict[str, Any] | None = rates(self.prices, 0)
        if row is None:
            return None
        if steps:
            row["above"] = [[start, rates(self.prices, start + 1)] for start in steps]
        if self.since is not None:
            row["since"] = self.since.isoformat()
        if self.hours is not None:
            row["hours"] = [moment.strftime("%H:%M") for moment in self.hours]
        return row


def tiers_of(price: Decimal | types.TieredPrices) -> Sequence[types.Tier]:
    return price.tiers if isinstance(price, types.TieredPrices) else ()


def rates(prices: Mapping[str, Any], input_tokens: int) -> dict[str, Any] | None:
    found = {}
    for field, names in FIELDS.items():
        told = [rate(prices[name], input_tokens) for name in names if prices.get(name) is not None]
        if told:
            found[field] = max(told) / (1000 if field == "request" else 1)
    if "in" not in found:
        return None
    found.setdefault("out", Decimal(0))  # embeddings and classifiers put nothing out
    return {field: format(amount.normalize(), "f") for field, amount in sorted(found.items(), key=in_order)}


def in_order(item: tuple[str, Decimal]) -> int:
    return list(FIELDS).index(item[0])


def rate(price: Decimal | types.TieredPrices, input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if input_tokens > tier.start), price.base)


def stated(prices: types.ModelPrice) -> dict[str, Any]:
    return {name: price for name, price in vars(prices).items() if price is not None and not name.startswith("_")}


def terms(model: types.ModelInfo) -> list[Term]:
    """The prices of a model, each with its condition; the last that holds counts."""
    if isinstance(model.prices, types.ModelPrice):
        return [Term(stated(model.prices))]
    found = [Term(stated(one.prices), *condition(one.constraint)) for one in model.prices]
    if (found[0].since, found[0].hours) != (None, None):
        raise ValueError(f"{model.id}: the first price has a condition")
    return found


def condition(constraint: Any) -> tuple[date | None, tuple[time, time] | None]:
    match constraint:
        case None:
            return None, None
        case types.StartDateConstraint(start_date=day):
            return day, None
        case types.TimeOfDateConstraint(start_time=start, end_time=end):
            for moment in (start, end):
                if moment.utcoffset() or moment.second:
                    raise ValueError("an hour that is not in UTC, or not a whole minute")
            return None, (start, end)
        case _:
            raise ValueError(f"an unknown condition: {constraint}")


def tier_terms(model: types.ModelInfo, tier: str) -> list[Term]:
    """The prices at a service tier: what is stated for it laid over the plain ones, from each of its days on."""
    variants = [one for one in model.price_variants or () if one.when == {"service_tier": tier} and stated(one.prices)]
    if not variants:
        return []
    days = {day for one in variants if (day := condition(one.constraint)[0]) is not None}
    found = []
    for day in (None, *sorted(days)):
        laid: dict[str, Any] = {}
        for one in variants:
            if (since := condition(one.constraint)[0]) is None or (day is not None and since <= day):
                laid = {**stated(one.prices), **laid}
        for term in terms(model):
            since = max(filter(None, (day, term.since)), default=None)
            found.append(Term({**term.prices, **laid}, since, term.hours))
    return found


def names(clause: Any) -> Iterator[tuple[str, ...]]:
    """The ways in which a name may match, each a row of patterns that must all do."""
    match clause:
        case types.ClauseOr(or_=clauses):
            for one in clauses:
                yield from names(one)
        case types.ClauseAnd(and_=clauses):
            for parts in itertools.product(*map(names, clauses)):
                yield tuple(itertools.chain(*parts))
        case types.ClauseEquals(equals=text):
            yield (text.lower(),)
        case types.ClauseStartsWith(starts_with=text):
            yield (f"{text.lower()}*",)
        case types.ClauseEndsWith(ends_with=text):
            yield (f"*{text.lower()}",)
        case types.ClauseContains(contains=text):
            yield (f"*{text.lower()}*",)
        case types.ClauseRegex(regex=text):
            yield (f"regex {text}",)
        case _:
            raise ValueError(f"an unknown clause: {clause}")


def entry(model: types.ModelInfo) -> dict[str, Any]:
    """A model; without prices where we know none: its names must not be taken for those of a model further down."""
    ways = dict.fromkeys(names(model.match))
    row: dict[str, Any] = {"names": [way[0] if len(way) == 1 else list(way) for way in ways]}
    if model.id.endswith(":free") and not any(term.prices for term in terms(model)):
        return {**row, "prices": [{"in": "0", "out": "0"}]}
    prices = [term.row() for term in terms(model)]
    if None in prices:
        return row
    if model.context_window is not None:
        row["context"] = model.context_window
    row["prices"] = prices
    tiers = {tier: [term.row() for term in found] for tier in SERVICE_TIERS if (found := tier_terms(model, tier))}
    return {**row, "tiers": tiers} if tiers else row


def table(day: str) -> dict[str, Any]:
    known = {provider.id: provider for provider in providers}
    ours = {theirs: name for name, theirs in LISTS.items()}
    return {
        "source": {"name": "genai-prices", "version": version("genai-prices"), "date": day, "note": NOTE},
        "fallbacks": {
            name: [ours[other] for other in known[theirs].fallback_model_providers or ()]
            for name, theirs in LISTS.items()
            if known[theirs].fallback_model_providers
        },
        "lists": {name: [entry(model) for model in known[theirs].models] for name, theirs in LISTS.items()},
    }


def written(made: Mapping[str, Any]) -> str:
    """JSON with a line for each model, so that a change of a price is a change of a line."""
    compact = partial(json.dumps, separators=(",", ":"), ensure_ascii=False)
    lists = ",\n".join(
        f"{json.dumps(name)}:[\n" + ",\n".join(compact(model) for model in models) + "\n]"
        for name, models in made["lists"].items()
    )
    head = ",\n".join(f'"{part}":{compact(made[part])}' for part in ("source", "fallbacks"))
    return f'{{\n{head},\n"lists":{{\n{lists}\n}}\n}}\n'


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--date", type=date.fromisoformat, default=datetime.now(UTC).date())
    made = table(arguments.parse_args().date.isoformat())
    TABLE.write_text(written(made), encoding="utf-8")
    counts = ", ".join(f"{name} {len(models)}" for name, models in made["lists"].items())
    print(f"{TABLE.name}: {TABLE.stat().st_size} bytes; models: {counts}")


if __name__ == "__main__":
    main()
