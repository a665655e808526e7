"""Settings of prices: what the operator knows better than the catalogues."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

from llm_service.domain import Bounds, Doc, Price

_AMOUNT: Final = Bounds(at_least=0, at_most=1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOptions:
    """A model's price, in USD per million tokens."""

    input_usd: Annotated[Decimal, _AMOUNT, Doc("USD per million input tokens; 0 for a model that costs nothing.")]
    output_usd: Annotated[Decimal, _AMOUNT, Doc("USD per million output tokens, reasoning included.")]
    cached_input_usd: Annotated[
        Decimal | None,
        _AMOUNT,
        Doc("USD per million input tokens that the provider read from its prompt cache. Unset: as other input."),
    ] = None
    request_usd: Annotated[Decimal | None, _AMOUNT, Doc("USD for each request, beside its tokens.")] = None

    @property
    def price(self) -> Price:
        """The same as the domain has it."""
        return Price(
            input_usd=self.input_usd,
            output_usd=self.output_usd,
            cached_input_usd=self.cached_input_usd,
            request_usd=self.request_usd,
        )
