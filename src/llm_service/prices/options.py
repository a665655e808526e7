"""Settings of prices: what the operator knows better than the catalogues."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

from llm_service.domain import Doc, Pattern, Price

_AMOUNT: Final = Pattern(r"[0-9]{1,6}(\.[0-9]{1,12})?", "a decimal number of USD, such as 0.25")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOptions:
    """A model's price, in USD per million tokens."""

    input_usd: Annotated[str, _AMOUNT, Doc("USD per million input tokens; 0 for a model that costs nothing.")]
    output_usd: Annotated[str, _AMOUNT, Doc("USD per million output tokens, reasoning included.")]
    cached_input_usd: Annotated[
        str | None,
        _AMOUNT,
        Doc("USD per million input tokens that the provider read from its prompt cache. Unset: as other input."),
    ] = None
    request_usd: Annotated[str | None, _AMOUNT, Doc("USD for each request, beside its tokens.")] = None

    @property
    def price(self) -> Price:
        """The same in decimals."""
        return Price(
            input_usd=Decimal(self.input_usd),
            output_usd=Decimal(self.output_usd),
            cached_input_usd=_decimal(self.cached_input_usd),
            request_usd=_decimal(self.request_usd),
        )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
