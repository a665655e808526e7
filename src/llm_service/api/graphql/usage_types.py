"""Recorded requests in the schema."""

from collections.abc import Mapping, Sequence
from typing import Self

import strawberry

from llm_service.api.graphql.context import Info
from llm_service.api.graphql.enums import (
    CacheWord,
    CostWord,
    DirectionWord,
    FilterActionWord,
    StatusWord,
    UsageGroupWord,
)
from llm_service.api.graphql.key_types import ApiKeyType
from llm_service.api.graphql.pages import PageInfo
from llm_service.api.graphql.scalars import Json, Moment, Usd
from llm_service.api.graphql.usage_sums import UsageSums
from llm_service.domain import Tried, UsageRecord, Verdict, usd_text
from llm_service.services import moment_text, read_filter
from llm_service.storage import UsageFilter


@strawberry.input(name="UsageFilter", description="Which records; what is left out lets all through.")
class UsageFilterInput:
    since: Moment | None = strawberry.field(default=None, description="Requests that came then or later.")
    until: Moment | None = strawberry.field(default=None, description="Requests that came before.")
    key_id: strawberry.ID | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    tag: str | None = strawberry.field(default=None, description="As `name=value`.")
    status: StatusWord | None = None
    cache: CacheWord | None = None


@strawberry.type(description="One call of a provider for a request.")
class Attempt:
    provider: str
    upstream_model: str
    error_code: str | None = strawberry.field(
        description="Null: it answered; `lost`: another one answered first; `aborted`: nobody waited for it any more."
    )
    duration_ms: float | None = strawberry.field(description="Until its first content, its failure, or its end.")
    wasted: Usd = strawberry.field(description="What it cost although nobody got its answer, where that is known.")

    @classmethod
    def of(cls, tried: Tried) -> Self:
        """A call as the record keeps it."""
        return cls(
            provider=tried.provider,
            upstream_model=tried.upstream_model,
            error_code=tried.error_code,
            duration_ms=tried.duration_ms,
            wasted=Usd(usd_text(tried.nano_usd)),
        )


@strawberry.type(name="FilterVerdict", description="What one filter found on one side of a request.")
class FilterVerdict:
    filter: str = strawberry.field(description="Its name in the settings.")
    type: str
    on: DirectionWord
    action: FilterActionWord
    labels: list[str] = strawberry.field(description="What was found, such as `email`; never the text itself.")
    count: int = strawberry.field(description="In how many places.")
    failed: bool = strawberry.field(description="It could not judge; the action is what followed from that.")

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """A verdict as the record keeps it."""
        return cls(
            filter=verdict.filter,
            type=verdict.type,
            on=DirectionWord(verdict.on),
            action=FilterActionWord(verdict.action),
            labels=[*verdict.labels],
            count=verdict.count,
            failed=verdict.failed,
        )


@strawberry.type(description="The record of one request, or a correction of one.")
class Generation:
    record: strawberry.Private[UsageRecord]
    request_id: strawberry.ID
    stream_id: strawberry.ID | None
    at: Moment = strawberry.field(description="When the request came in.")
    key_id: strawberry.ID = strawberry.field(description="The api key's, or `local` or `admin`.")
    user: str | None
    tags: Json
    surface: str = strawberry.field(description="Through which door it came.")
    model: str = strawberry.field(description="As the caller named it.")
    provider: str | None
    upstream_model: str | None
    upstream_id: str | None
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = strawberry.field(description="A part of `inputTokens`.")
    reasoning_tokens: int = strawberry.field(description="A part of `outputTokens`.")
    cost: Usd = strawberry.field(description="Of a correction: the difference.")
    cost_source: CostWord
    price_date: str | None = strawberry.field(description="The day of the catalogue's price.")
    status: StatusWord
    error_code: str | None
    cache: CacheWord
    cache_key: str | None
    saved: Usd
    attempts: int = strawberry.field(description="Calls of providers.")
    tries: list[Attempt] = strawberry.field(description="The calls, unless there was one and it answered.")
    wasted: Usd = strawberry.field(
        description="What attempts cost that were not the answer; nobody is charged with it."
    )
    queue_ms: float | None
    first_chunk_ms: float | None
    duration_ms: float | None
    overhead_ms: float | None = strawberry.field(description="The service's own share of the duration.")
    adjusts: strawberry.ID | None = strawberry.field(description="Of a correction: the request that it corrects.")
    verdicts: list[FilterVerdict] = strawberry.field(description="What filters found in the prompt and in the answer.")
    corrections: "list[Generation] | None" = strawberry.field(
        description="Of a single generation; null in lists, where corrections have entries of their own."
    )

    @classmethod
    def of(cls, record: UsageRecord, corrections: "Sequence[UsageRecord] | None" = None) -> Self:
        """A record as it stands."""
        plain = (
            "user surface model provider upstream_model upstream_id input_tokens output_tokens cached_input_tokens "
            "reasoning_tokens price_date error_code cache_key attempts queue_ms first_chunk_ms duration_ms overhead_ms"
        ).split()
        return cls(
            record=record,
            request_id=strawberry.ID(record.request_id),
            stream_id=_id(record.stream_id),
            at=Moment(record.at),
            key_id=strawberry.ID(record.key_id),
            tags=Json(dict(record.tags)),
            cost=Usd(usd_text(record.nano_usd)),
            cost_source=CostWord(record.cost_source),
            status=StatusWord(record.status),
            cache=CacheWord(record.cache),
            saved=Usd(usd_text(record.saved_nano_usd)),
            tries=[Attempt.of(one) for one in record.tries],
            wasted=Usd(usd_text(record.wasted_nano_usd)),
            adjusts=_id(record.adjusts),
            verdicts=[FilterVerdict.of(one) for one in record.verdicts],
            corrections=None if corrections is None else [cls.of(one) for one in corrections],
            **{name: getattr(record, name) for name in plain},
        )

    @strawberry.field(description="The api key as it is now; null where it was none, or is none any more.")
    async def key(self, info: Info) -> ApiKeyType | None:
        found = await info.context.keys.load(self.record.key_id)
        return None if found is None else ApiKeyType.of(found, info)


@strawberry.type
class GenerationEdge:
    cursor: str
    node: Generation


@strawberry.type(description="Records, newest first.")
class GenerationConnection:
    edges: list[GenerationEdge]
    page_info: PageInfo


@strawberry.type(description="One value of what is summed up by.")
class GroupValue:
    by: UsageGroupWord
    value: str | None


@strawberry.type(description="The sums of one group.")
class UsageGroupSums:
    group: list[GroupValue]
    sums: UsageSums


@strawberry.type
class UsageEdge:
    cursor: str
    node: UsageGroupSums


@strawberry.type(description="Sums of what was used, in all and by groups.")
class UsageReport:
    total: UsageSums
    edges: list[UsageEdge] = strawberry.field(description="In the order of the groups' values.")
    page_info: PageInfo


def filter_of(given: UsageFilterInput | None) -> UsageFilter:
    """Which records. Raises InvalidValue."""
    if given is None:
        return UsageFilter()
    texts: Mapping[str, str | None] = {
        "since": moment_text(given.since),
        "until": moment_text(given.until),
        "key_id": given.key_id,
        "user": given.user,
        "model": given.model,
        "provider": given.provider,
        "tag": given.tag,
        "status": given.status and given.status.value,
        "cache": given.cache and given.cache.value,
    }
    return read_filter({name: text for name, text in texts.items() if text is not None})


def _id(text: str | None) -> strawberry.ID | None:
    return None if text is None else strawberry.ID(text)
