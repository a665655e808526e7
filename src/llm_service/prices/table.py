"""The table of prices that ships with the service: made by scripts/update-prices, read when first needed."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import orjson

from llm_service.domain import Price, PriceTerm
from llm_service.prices.model_price import ModelPrice

_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "in": "input_usd",
        "out": "output_usd",
        "cached": "cached_input_usd",
        "write": "cache_write_usd",
        "reasoning": "reasoning_usd",
        "request": "request_usd",
    }
)
# OpenAI-like names end in a day, which some write without dashes.
_COMPACT_DAY: Final = r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)"
_REGEX: Final = "regex "

Way = str | Sequence[str]
"""A pattern, or several that must all fit: ``name``, ``start*``, ``*end``, ``*part*``, ``regex ...`` without blanks."""


class PriceTable:
    """Models by list, in the table's order: the first one that a name fits is meant."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._stated_on = date.fromisoformat(told["source"]["date"])
        self._lists = {name: _List(models) for name, models in told["lists"].items()}
        self._fallbacks: Mapping[str, Sequence[str]] = told["fallbacks"]

    def find(self, list_name: str, model: str) -> ModelPrice | None:
        """A model's price by the name that its provider knows it by; ``None`` where the table has none."""
        if list_name not in self._lists:
            return None
        for spelling in _spellings(model):
            for where in (list_name, *self._fallbacks.get(list_name, ())):
                if (entry := self._lists[where].find(spelling)) is not None:
                    return self._price(entry, own=where == list_name)
        return None

    def unmet(self, list_name: str, models: Collection[str]) -> Sequence[str]:
        """The names of those of a list's own models that none of these is, in the table's order."""
        known = {spelling for model in models for spelling in _spellings(model)}
        return self._lists[list_name].unmet(known) if list_name in self._lists else ()

    def _price(self, entry: Mapping[str, Any], *, own: bool) -> ModelPrice | None:
        """``own``: not that of another provider, whose service tiers need not be the same."""
        if "prices" not in entry:
            return None
        tiers = entry.get("tiers", {}) if own else {}
        return ModelPrice(
            terms=_terms(entry["prices"]),
            origin="table",
            stated_on=self._stated_on,
            context_tokens=entry.get("context"),
            service_tiers={tier: _terms(rows) for tier, rows in tiers.items()},
        )


def load_table() -> PriceTable:
    """Reads the table: about 10 ms."""
    return PriceTable(orjson.loads(files("llm_service.prices").joinpath("table.json").read_bytes()))


class _List:
    """One provider's models: whole names by a look-up, patterns one by one."""

    def __init__(self, models: Sequence[Mapping[str, Any]]) -> None:
        self._models = models
        self._whole: dict[str, int] = {}
        self._patterns: list[tuple[int, Way]] = []
        for number, model in enumerate(models):
            for way in model["names"]:
                if isinstance(way, str) and "*" not in way and not way.startswith(_REGEX):
                    self._whole.setdefault(way, number)
                else:
                    self._patterns.append((number, way))

    def find(self, name: str) -> Mapping[str, Any] | None:
        found = self._whole.get(name, len(self._models))
        for number, way in self._patterns:
            if number >= found:
                break
            if all(_fits(pattern, name) for pattern in ((way,) if isinstance(way, str) else way)):
                found = number
                break
        return self._models[found] if found < len(self._models) else None

    def unmet(self, names: Collection[str]) -> Sequence[str]:
        """The first names of the models that none of these fits."""
        met = {id(entry) for name in names if (entry := self.find(name)) is not None}
        return [_shown(model["names"][0]) for model in self._models if id(model) not in met]


def _shown(way: Way) -> str:
    return way if isinstance(way, str) else " ".join(way)


def _spellings(model: str) -> Iterable[str]:
    name = model.lower()
    return dict.fromkeys((name, re.sub(_COMPACT_DAY, r"-\1-\2-\3", name)))


def _fits(pattern: str, name: str) -> bool:
    if pattern.startswith(_REGEX):
        return re.search(pattern.removeprefix(_REGEX), name) is not None
    open_start, open_end = pattern.startswith("*"), pattern.endswith("*")
    text = pattern.strip("*")
    if open_start and open_end:
        return text in name
    if open_start:
        return name.endswith(text)
    return name.startswith(text) if open_end else name == text


def _terms(rows: Sequence[Mapping[str, Any]]) -> tuple[PriceTerm, ...]:
    return tuple(
        PriceTerm(
            price=_price(row),
            since=date.fromisoformat(row["since"]) if "since" in row else None,
            hours=_hours(*row["hours"]) if "hours" in row else None,
        )
        for row in rows
    )


def _hours(start: str, end: str) -> tuple[time, time]:
    return time.fromisoformat(start), time.fromisoformat(end)


def _price(row: Mapping[str, Any]) -> Price:
    amounts = {_FIELDS[name]: Decimal(text) for name, text in row.items() if name in _FIELDS}
    return Price(above=tuple((tokens, _price(other)) for tokens, other in row.get("above", ())), **amounts)
