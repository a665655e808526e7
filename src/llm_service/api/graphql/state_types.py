"""Models, cache and limits in the schema."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Self

import strawberry

from llm_service.api.graphql.context import Info
from llm_service.api.graphql.enums import BudgetPeriodWord, LimitKindWord, LimitScopeWord, ReachWord, ScopeWord
from llm_service.api.graphql.key_types import ApiKeyType
from llm_service.api.graphql.scalars import Count, Json, Moment, Usd
from llm_service.domain import WINDOW_S, Caller, LimitState, usd_text
from llm_service.services import CacheFigures, CacheStats, ModelEntry, stats_object


@strawberry.type(description="US dollars for a million tokens of a request that begins now; null: nobody states it.")
class ModelPrice:
    input: Usd | None
    output: Usd | None
    cached_input: Usd | None
    origin: str | None = strawberry.field(
        description="Who says so: `operator`, `provider` or `table`. Null: the catalogue, and it is not charged."
    )
    date: str | None = strawberry.field(description="The day of the table's prices.")

    @classmethod
    def of(cls, entry: ModelEntry) -> Self | None:
        """What is charged; without that, what the catalogue says."""
        charge = entry.charge
        price = entry.info.price if charge is None else charge.price
        if price is None:
            return None
        return cls(
            input=_usd(price.input_usd),
            output=_usd(price.output_usd),
            cached_input=_usd(price.cached_input_usd),
            origin=None if charge is None else charge.origin,
            date=None if charge is None or charge.stated_on is None else charge.stated_on.isoformat(),
        )


@strawberry.type(description="A model, as callers name it.")
class Model:
    id: strawberry.ID
    name: str | None
    provider: str | None = strawberry.field(description="Null: a name of the operator's.")
    owned_by: str
    created_at: Moment | None
    context_tokens: int | None = strawberry.field(description="Most tokens of prompt and answer together.")
    max_output_tokens: int | None
    price: ModelPrice | None
    parameters: list[str] = strawberry.field(description="What requests may set, where the catalogue says so.")
    input_modalities: list[str]
    output_modalities: list[str]
    deprecated: bool = strawberry.field(description="Whether its provider is about to give it up.")
    expires_on: str | None = strawberry.field(description="The day on which it will be gone, as 2027-01-31.")

    @classmethod
    def of(cls, entry: ModelEntry) -> Self:
        """What a catalogue says."""
        info = entry.info
        created = info.created
        return cls(
            id=strawberry.ID(info.id),
            name=info.name,
            provider=entry.provider,
            owned_by=info.owned_by,
            created_at=None if not created else Moment(datetime.fromtimestamp(created, UTC)),
            context_tokens=info.context_tokens,
            max_output_tokens=info.max_output_tokens,
            price=ModelPrice.of(entry),
            parameters=list(info.parameters),
            input_modalities=list(info.input_modalities),
            output_modalities=list(info.output_modalities),
            deprecated=info.deprecated,
            expires_on=None if info.expires_on is None else info.expires_on.isoformat(),
        )


@strawberry.type(description="How full the cache is, in this process.")
class CacheSizes:
    entries: Count
    bytes: Count
    max_bytes: Count
    evictions: Count
    too_large: Count = strawberry.field(description="Answers that were too large to be kept.")


@strawberry.type(description="What the cache did for some requests.")
class CacheCounts:
    group: Json = strawberry.field(description="The values that they were grouped by, by name.")
    requests: Count
    hits: Count
    hit_ratio: float | None = strawberry.field(description="Of those that looked an answer up; null: none did.")
    by_status: Json = strawberry.field(description="Requests by what the cache did for them.")
    saved: Usd

    @classmethod
    def of(cls, figures: CacheFigures) -> Self:
        return cls(
            group=Json(dict(figures.group)),
            requests=Count(figures.requests),
            hits=Count(figures.hits),
            hit_ratio=figures.hit_ratio,
            by_status=Json(dict(figures.by_status)),
            saved=Usd(usd_text(figures.saved_nano_usd)),
        )


@strawberry.type(name="CacheStats", description="How full the response cache is, and what it did in a period.")
class CacheStatsType:
    store: CacheSizes | None = strawberry.field(description="Null while its store does not answer.")
    reach: ReachWord
    semantic: Json | None = strawberry.field(
        description="The semantic cache of this process, as `GET /admin/cache` has it; null where it is off."
    )
    since: Moment
    until: Moment | None
    total: CacheCounts
    groups: list[CacheCounts]

    @classmethod
    def of(cls, stats: CacheStats) -> Self:
        sizes = stats.sizes
        return cls(
            store=None
            if sizes is None
            else CacheSizes(
                entries=Count(sizes.entries),
                bytes=Count(sizes.bytes),
                max_bytes=Count(sizes.max_bytes),
                evictions=Count(sizes.evictions),
                too_large=Count(sizes.too_large),
            ),
            reach=ReachWord(stats.reach),
            semantic=stats_object(stats)["semantic"],
            since=Moment(stats.since),
            until=None if stats.until is None else Moment(stats.until),
            total=CacheCounts.of(stats.total),
            groups=[CacheCounts.of(one) for one in stats.groups],
        )


@strawberry.input(description="What the cache is to forget: exactly one of these, and `olderThanS`.")
class PurgeInput:
    key_id: strawberry.ID | None = strawberry.field(default=None, description="Answers of one api key.")
    user: str | None = strawberry.field(default=None, description="Answers of one user.")
    model: str | None = strawberry.field(default=None, description="Answers of one model.")
    tag: str | None = strawberry.field(default=None, description="Answers to requests with a tag, as `name=value`.")
    digest: str | None = strawberry.field(default=None, description="One answer, by 64 hexadecimal digits.")
    all: bool | None = strawberry.field(default=None, description="Every answer; true.")
    older_than_s: float | None = strawberry.field(default=None, description="Only what is older, in seconds.")


def purge_texts(given: PurgeInput) -> dict[str, str]:
    """What REST would have in its query."""
    texts = {name: value for name, value in vars(given).items() if value is not None and value is not False}
    return {name: "true" if value is True else _number(value) for name, value in texts.items()}


@strawberry.type(name="LimitState", description="Where a limit stands. Amounts are BigInt, or USD of budgets, as text.")
class LimitStateType:
    scope: LimitScopeWord
    subject: str | None = strawberry.field(description="Which model, key, user or provider.")
    kind: LimitKindWord
    window_s: int | None = strawberry.field(description="Of requests and tokens, in seconds.")
    period: BudgetPeriodWord | None
    resets_at: Moment | None
    limit: str
    used: str | None = strawberry.field(description="Null: nobody has asked for this budget since the store began.")
    reserved: str | None = strawberry.field(description="What running requests may still use.")
    remaining: str | None

    @classmethod
    def of(cls, state: LimitState) -> Self:
        limit, used, reserved = state.limit, state.used, state.reserved
        left = None if used is None or reserved is None else max(limit.amount - used - reserved, 0)

        def said(amount: int | None) -> str | None:
            if amount is None:
                return None
            return usd_text(amount) if limit.kind == "money" else str(amount)

        return cls(
            scope=LimitScopeWord(limit.scope),
            subject=limit.subject or None,
            kind=LimitKindWord(limit.kind),
            window_s=WINDOW_S if limit.kind in ("requests", "tokens") else None,
            period=None if limit.period is None else BudgetPeriodWord(limit.period),
            resets_at=None if limit.ends_at is None else Moment(datetime.fromtimestamp(limit.ends_at, UTC)),
            limit=said(limit.amount) or "",
            used=said(used),
            reserved=said(reserved),
            remaining=said(left),
        )


@strawberry.type(name="Caller", description="Who asks.")
class CallerType:
    key_id: strawberry.ID = strawberry.field(
        description="The api key's, `local`, `admin`, or of a token `jwt:issuer:subject`."
    )
    scopes: list[ScopeWord]
    key: ApiKeyType | None = strawberry.field(description="Null for `local` and `admin`.")

    @classmethod
    def of(cls, caller: Caller, info: Info) -> Self:
        return cls(
            key_id=strawberry.ID(caller.key_id),
            scopes=[scope for scope in ScopeWord if scope.value in caller.scopes],
            key=None if caller.key is None else ApiKeyType.of(caller.key, info),
        )


def _usd(amount: Decimal | None) -> Usd | None:
    return None if amount is None else Usd(format(amount.normalize(), "f"))


def _number(value: object) -> str:
    return format(value, ".6f").rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
