"""Settings of limits and budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

from llm_service.domain import (
    MOST_NANO_USD,
    Allowance,
    Bounds,
    BudgetPeriod,
    Called,
    Doc,
    NotEmpty,
    Places,
    nano_usd,
    usd_of,
)

_COUNT = Bounds(at_least=1, at_most=10**12)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceOptions:
    """The limits of one subject; what is not set is not limited."""

    requests_per_minute: Annotated[int | None, _COUNT, Doc("Requests in any 60 seconds.")] = None
    tokens_per_minute: Annotated[
        int | None, _COUNT, Doc("Tokens, of prompts and answers together, in any 60 seconds.")
    ] = None
    concurrent_requests: Annotated[int | None, _COUNT, Doc("Requests that run at once.")] = None
    budget_usd: Annotated[
        Decimal | None,
        Bounds(at_least=0, at_most=int(usd_of(MOST_NANO_USD))),
        Places(at_most=9),
        Doc("Money in a period, in USD, as a decimal such as 12.50."),
    ] = None
    budget_period: Annotated[BudgetPeriod, Doc("The calendar period of the budget, in UTC; weeks begin on Monday.")] = (
        "month"
    )

    @property
    def allowance(self) -> Allowance:
        """The same in the words of admission."""
        return Allowance(
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            concurrent_requests=self.concurrent_requests,
            budget_nano_usd=None if self.budget_usd is None else nano_usd(self.budget_usd),
            budget_period=self.budget_period,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsOptions:
    """Limits of requests, tokens, concurrency and money. All that apply to a request must have room for it."""

    everybody: Annotated[AllowanceOptions, Called("global"), Doc("Limits of all requests together.")] = field(
        default_factory=AllowanceOptions
    )
    per_key: Annotated[
        AllowanceOptions, Doc("Limits of each api key; a key's own limits replace them, kind by kind.")
    ] = field(default_factory=AllowanceOptions)
    per_user: Annotated[AllowanceOptions, Doc("Limits of each user.")] = field(default_factory=AllowanceOptions)
    per_model: Annotated[
        Mapping[Annotated[str, NotEmpty()], AllowanceOptions], Doc("Limits by the model's name as callers ask for it.")
    ] = field(default_factory=dict)
    per_provider: Annotated[
        Mapping[Annotated[str, NotEmpty()], AllowanceOptions], Doc("Limits of what is sent to a provider, by its name.")
    ] = field(default_factory=dict)
    max_input_tokens: Annotated[
        int | None,
        Bounds(at_least=1, at_most=10**9),
        Doc(
            "The most tokens that a prompt may have. Refused is what surely has more; without the model's own "
            "vocabulary that shows only from about twice as many on. `null`: as many as the model takes."
        ),
    ] = 200_000
    max_output_tokens: Annotated[
        int,
        Bounds(at_least=256, at_most=10**9),
        Doc(
            "Where a token or money limit applies: the most that is reserved for an answer, and sent upstream as its "
            "cap, when the request names none."
        ),
    ] = 32_000
    unknown_price: Annotated[
        Literal["refuse", "allow"],
        Doc("What becomes of requests under a budget when nobody knows the model's price; `allow` counts them as 0."),
    ] = "refuse"
