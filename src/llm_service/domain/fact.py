"""What is made for every request and changed by nobody."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def fact(made: type[T]) -> type[T]:
    """A dataclass of keywords and slots, frozen for type checkers alone.

    To freeze one at run time as well nearly triples what it costs to make: 1.7 instead of 0.6 µs for twelve fields,
    and a request makes some hundred fields.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(made)


@dataclass_transform(frozen_default=True)
def fact_in_order(made: type[T]) -> type[T]:
    """The same, whose fields may be given in their order: of 27 that costs 0.6 instead of 1.5 µs."""
    return dataclass(slots=True, unsafe_hash=True)(made)
