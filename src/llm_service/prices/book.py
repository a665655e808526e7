"""Finds the price of a model: what the operator says, else the provider's own catalogue, else the table."""

from collections.abc import Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final

from llm_service.domain import ModelInfo, Price, PriceTerm, fact
from llm_service.prices.model_price import ModelPrice
from llm_service.prices.options import PriceOptions
from llm_service.prices.table import PriceTable, load_table

Live = Callable[[str, str], ModelInfo | None]
"""What a provider's catalogue said last of a model, by the provider's name and the model's there; asks nobody."""

MOST_KEPT: Final = 4096
# How OpenRouter is to choose among the endpoints of a model; its price is that of the model.
_ROUTING_SUFFIXES: Final = (":nitro", ":floor", ":exacto")


@fact
class PriceList:
    """Where the table has a provider's models: ``name`` is that of its row in the provider catalogue.

    ``aliases``: names that the provider's dialect turns into others before they are sent.
    """

    name: str
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class PriceBook:
    """Prices by provider and model. Each is looked up once, and again when the provider's catalogue has changed.

    ``lists`` by the names of the configured providers. ``prices``: the operator's, by ``provider/model`` or
    ``provider/*``. Where nobody says anything the price is unknown, a server of the operator's own included: what its
    hours cost, only the operator knows.
    """

    def __init__(
        self,
        *,
        lists: Mapping[str, PriceList],
        prices: Mapping[str, PriceOptions],
        live: Live,
        load: Callable[[], PriceTable] = load_table,
    ) -> None:
        self._lists = lists
        self._own = {name: _flat(options.price) for name, options in prices.items()}
        self._live = live
        self._load = load
        self._table: PriceTable | None = None
        self._known: dict[tuple[str, str], tuple[ModelInfo | None, ModelPrice | None]] = {}
        self._in_table: dict[tuple[str, str], ModelPrice | None] = {}

    def price(self, provider: str, upstream_model: str) -> ModelPrice | None:
        """The price of a deployment; ``None`` where it is unknown. Reads the table when first needed (10 ms)."""
        told = self._live(provider, upstream_model)
        known = self._known.get((provider, upstream_model))
        if known is not None and known[0] is told:
            return known[1]
        price = self._look_up(provider, upstream_model, told)
        if len(self._known) >= MOST_KEPT:  # names are the callers' to invent
            self._known.clear()
        self._known[provider, upstream_model] = (told, price)
        return price

    def context_tokens(self, provider: str, upstream_model: str) -> int | None:
        """The most tokens of prompt and answer together that the table knows of; ``None`` where it knows none."""
        listed = self._listed(provider, upstream_model)
        return None if listed is None else listed.context_tokens

    def _look_up(self, provider: str, model: str, told: ModelInfo | None) -> ModelPrice | None:
        own = self._own.get(f"{provider}/{model}") or self._own.get(f"{provider}/*")
        return own or _live_price(told) or self._listed(provider, model)

    def _listed(self, provider: str, model: str) -> ModelPrice | None:
        if (provider, model) not in self._in_table:
            if len(self._in_table) >= MOST_KEPT:
                self._in_table.clear()
            self._in_table[provider, model] = self._found(provider, model)
        return self._in_table[provider, model]

    def _found(self, provider: str, model: str) -> ModelPrice | None:
        where = self._lists.get(provider)
        if where is None:
            return None
        if self._table is None:
            self._table = self._load()
        name = where.aliases.get(model, model)
        found = self._table.find(where.name, name)
        bare = _bare(where.name, name)
        return self._table.find(where.name, bare) if found is None and bare != name else found


def _bare(list_name: str, model: str) -> str:
    """A model's name without what only says how it is to be served or addressed."""
    if list_name == "openrouter":
        return next((model.removesuffix(end) for end in _ROUTING_SUFFIXES if model.endswith(end)), model)
    return model.removeprefix("models/") if list_name == "gemini" else model


def _live_price(told: ModelInfo | None) -> ModelPrice | None:
    if told is None or told.price is None or not _whole(told.price):
        return None
    if not all(_whole(term.price) for term in told.price_terms):
        return None
    return ModelPrice(terms=(PriceTerm(price=told.price), *told.price_terms), origin="provider")


def _whole(price: Price) -> bool:
    stated = price.input_usd is not None and price.output_usd is not None
    return stated and all(_whole(other) for _, other in price.above)


def _flat(price: Price) -> ModelPrice:
    return ModelPrice(terms=(PriceTerm(price=price),), origin="operator")
