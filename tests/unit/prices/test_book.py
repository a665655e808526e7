"""Whose word a price is, and that it is looked up once."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from llm_service.domain import ModelInfo, Price, PriceTerm, Usage
from llm_service.prices import PriceBook, PriceList, PriceOptions
from llm_service.prices.book import MOST_KEPT
from llm_service.prices.table import PriceTable, load_table
from llm_service.providers import ProviderOptions, price_list_for

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
A_MILLION = Usage(input_tokens=1_000_000, output_tokens=0)
LISTS = {name: PriceList(name=name) for name in ("openrouter", "deepseek", "openai", "gemini", "ollama")}


class Catalogue:
    """A live catalogue of one model."""

    def __init__(self, info: ModelInfo | None = None) -> None:
        self.info = info

    def __call__(self, provider: str, model: str) -> ModelInfo | None:
        return self.info if self.info is not None and self.info.id == model else None


class Loader:
    def __init__(self) -> None:
        self.loads = 0

    def __call__(self) -> PriceTable:
        self.loads += 1
        return load_table()


def a_book(prices: dict[str, PriceOptions] | None = None, live: Catalogue | None = None, **fields: object) -> PriceBook:
    return PriceBook(lists=LISTS, prices=prices or {}, live=live or Catalogue(), **fields)


def live(usd: str, model: str = "openai/gpt-4o") -> ModelInfo:
    return ModelInfo(id=model, owned_by="openai", price=Price(input_usd=Decimal(usd), output_usd=Decimal(8)))


def paid(book: PriceBook, provider: str, model: str) -> Decimal | None:
    price = book.price(provider, model)
    return None if price is None else price.cost(A_MILLION, NOON)


OWN = PriceOptions(input_usd=Decimal("0.25"), output_usd=Decimal(1))


def test_operators_price_wins_over_the_catalogue_and_that_over_the_table() -> None:
    catalogue = Catalogue(live("2.4"))
    assert paid(a_book(), "openrouter", "openai/gpt-4o") == Decimal("2.5")
    assert paid(a_book(live=catalogue), "openrouter", "openai/gpt-4o") == Decimal("2.4")
    assert paid(a_book({"openrouter/openai/gpt-4o": OWN}, catalogue), "openrouter", "openai/gpt-4o") == Decimal("0.25")


def test_a_price_for_one_model_wins_over_one_for_all_of_its_provider() -> None:
    book = a_book({"ollama/*": PriceOptions(input_usd=Decimal(0), output_usd=Decimal(0)), "ollama/big": OWN})
    assert (paid(book, "ollama", "small"), paid(book, "ollama", "big")) == (0, Decimal("0.25"))


def test_a_server_of_the_operators_own_has_no_price_until_one_is_set() -> None:
    assert a_book().price("ollama", "gpt-4o") is None


@pytest.mark.parametrize("provider", ["openrouter", "deepseek", "openai", "elsewhere"])
def test_an_unknown_model_has_no_price(provider: str) -> None:
    assert a_book().price(provider, "acme/unheard-of-1") is None


def test_a_changed_catalogue_is_noticed() -> None:
    catalogue = Catalogue(live("2.4"))
    book = a_book(live=catalogue)
    assert paid(book, "openrouter", "openai/gpt-4o") == Decimal("2.4")
    catalogue.info = live("2.3")
    assert paid(book, "openrouter", "openai/gpt-4o") == Decimal("2.3")
    catalogue.info = None
    assert paid(book, "openrouter", "openai/gpt-4o") == Decimal("2.5")


def test_a_price_that_routing_decides_is_not_taken_for_zero() -> None:
    info = ModelInfo(id="openrouter/auto", owned_by="openrouter", price=Price(input_usd=Decimal(1)))
    assert a_book(live=Catalogue(info)).price("openrouter", "openrouter/auto") is None


def test_a_catalogues_price_by_the_hour_holds_at_that_hour() -> None:
    peak = PriceTerm(price=Price(input_usd=Decimal(4), output_usd=Decimal(9)), hours=(time(11), time(13)))
    info = ModelInfo(id="m", owned_by="o", price=live("2").price, price_terms=(peak,))
    assert paid(a_book(live=Catalogue(info)), "openrouter", "m") == Decimal(4)


def test_a_price_is_looked_up_once_and_the_table_read_when_first_needed() -> None:
    loader = Loader()
    book = a_book({"openai/own": OWN}, load=loader)
    assert book.price("openai", "own") is not None
    assert loader.loads == 0
    assert book.price("openai", "gpt-4o") is book.price("openai", "gpt-4o") is not None
    assert loader.loads == 1


def test_invented_names_do_not_pile_up() -> None:
    book = a_book()
    for number in range(MOST_KEPT + 10):
        book.price("deepseek", f"invented-{number}")
    assert len(book._known) <= MOST_KEPT


@pytest.mark.parametrize(
    ("provider", "name", "plain"),
    [
        ("openrouter", "anthropic/claude-sonnet-4.5:nitro", "anthropic/claude-sonnet-4.5"),
        ("openrouter", "anthropic/claude-sonnet-4.5:floor", "anthropic/claude-sonnet-4.5"),
        ("gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("openai", "gpt-4o-20240806", "gpt-4o-2024-08-06"),
    ],
)
def test_spellings_of_a_name_have_its_price(provider: str, name: str, plain: str) -> None:
    book = a_book()
    assert book.price(provider, name) == book.price(provider, plain) is not None


def test_a_free_variant_costs_nothing_and_says_so() -> None:
    assert paid(a_book(), "openrouter", "openai/gpt-oss-20b:free") == 0


def test_retired_names_cost_what_is_sent_in_their_place() -> None:
    lists = {"mine": price_list_for("mine", ProviderOptions(kind="deepseek"))}
    book = PriceBook(lists=lists, prices={}, live=Catalogue())
    assert book.price("mine", "deepseek-reasoner") == book.price("mine", "deepseek-flash") is not None


@pytest.mark.parametrize(
    ("name", "options", "list_name"),
    [
        ("openrouter", ProviderOptions(), "openrouter"),
        ("mine", ProviderOptions(server="groq"), "groq"),
        ("xai", ProviderOptions(), "xai"),
        ("anything", ProviderOptions(), "generic"),
    ],
)
def test_a_provider_has_the_list_of_its_row(name: str, options: ProviderOptions, list_name: str) -> None:
    assert price_list_for(name, options).name == list_name


def test_date_of_a_price_says_where_it_comes_from() -> None:
    book = a_book({"openai/own": OWN}, Catalogue(live("2")))
    dates = {name: book.price(*name).price_date(NOON) for name in (("openai", "own"), ("openrouter", "openai/gpt-4o"))}
    assert list(dates.values()) == [None, date(2026, 11, 25)]
    table = book.price("openai", "gpt-4o")
    assert table.price_date(NOON) == table.stated_on is not None
