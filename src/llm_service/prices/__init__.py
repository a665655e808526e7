"""What a request costs, and what it used when nobody says: prices, charges, meters."""

from llm_service.prices.book import Live, PriceBook, PriceList
from llm_service.prices.charge import NO_USAGE, Charge, charge
from llm_service.prices.meter import CountInput, CountText, Meter
from llm_service.prices.model_price import Ceiling, ModelPrice, Origin
from llm_service.prices.options import PriceOptions
from llm_service.prices.table import PriceTable, load_table

__all__ = [
    "NO_USAGE",
    "Ceiling",
    "Charge",
    "CountInput",
    "CountText",
    "Live",
    "Meter",
    "ModelPrice",
    "Origin",
    "PriceBook",
    "PriceList",
    "PriceOptions",
    "PriceTable",
    "charge",
    "load_table",
]
