"""Sums of recorded usage in the schema."""

from typing import Self

import strawberry

from llm_service.api.graphql.scalars import Count, Usd
from llm_service.domain import usd_text
from llm_service.storage import UsageSum


@strawberry.type(description="Sums over records, corrections included.")
class UsageSums:
    requests: Count
    errors: Count
    hits: Count = strawberry.field(description="Requests that the response cache answered.")
    input_tokens: Count
    output_tokens: Count
    cached_input_tokens: Count = strawberry.field(description="A part of `inputTokens`.")
    reasoning_tokens: Count = strawberry.field(description="A part of `outputTokens`.")
    cost: Usd
    saved: Usd = strawberry.field(description="What answers of the response cache had cost when they were made.")

    @classmethod
    def of(cls, summed: UsageSum) -> Self:
        """One group's."""
        return cls(
            requests=Count(summed.requests),
            errors=Count(summed.errors),
            hits=Count(summed.hits),
            input_tokens=Count(summed.input_tokens),
            output_tokens=Count(summed.output_tokens),
            cached_input_tokens=Count(summed.cached_input_tokens),
            reasoning_tokens=Count(summed.reasoning_tokens),
            cost=Usd(usd_text(summed.nano_usd)),
            saved=Usd(usd_text(summed.saved_nano_usd)),
        )

    @classmethod
    def nothing(cls) -> Self:
        """Of no record."""
        counts = (
            "requests",
            "errors",
            "hits",
            "input_tokens",
            "output_tokens",
            "cached_input_tokens",
            "reasoning_tokens",
        )
        return cls(**dict.fromkeys(counts, Count(0)), cost=Usd("0"), saved=Usd("0"))
