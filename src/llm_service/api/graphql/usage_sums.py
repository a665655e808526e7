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

    wasted: Usd = strawberry.field(
        description="What attempts cost that were not the answer; nobody is charged with it."
    )

    @classmethod
    def of(cls, *summed: UsageSum) -> Self:
        """Of groups together that have no record in common."""
        return cls(
            requests=Count(sum(one.requests for one in summed)),
            errors=Count(sum(one.errors for one in summed)),
            hits=Count(sum(one.hits for one in summed)),
            input_tokens=Count(sum(one.input_tokens for one in summed)),
            output_tokens=Count(sum(one.output_tokens for one in summed)),
            cached_input_tokens=Count(sum(one.cached_input_tokens for one in summed)),
            reasoning_tokens=Count(sum(one.reasoning_tokens for one in summed)),
            cost=Usd(usd_text(sum(one.nano_usd for one in summed))),
            saved=Usd(usd_text(sum(one.saved_nano_usd for one in summed))),
            wasted=Usd(usd_text(sum(one.wasted_nano_usd for one in summed))),
        )
