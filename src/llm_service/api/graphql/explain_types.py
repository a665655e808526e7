"""What would become of a request, in the schema."""

from datetime import date
from enum import Enum
from typing import Self

import strawberry

from llm_service.api.errors import extensions_of, spoken
from llm_service.api.graphql.enums import CacheWord, DirectionWord, FilterActionWord, ReachWord
from llm_service.api.graphql.scalars import Count, Json, Moment, Usd
from llm_service.api.graphql.state_types import LimitStateType
from llm_service.api.graphql.usage_types import FilterVerdict
from llm_service.domain import Candidate, LLMServiceError, usd_text
from llm_service.services import (
    CacheView,
    DeploymentView,
    Explanation,
    FilterView,
    GroupView,
    LimitsView,
    LimitView,
    PriceView,
    ResultView,
)


@strawberry.enum(name="ExplainedAction", description="What would happen to a request.")
class ActionWord(Enum):
    ANSWER_FROM_THE_CACHE = "answer from the cache"
    JOIN = "join"
    CALL = "call"
    REFUSE = "refuse"


@strawberry.enum(name="KeyStanding", description="What stands under an idempotency key.")
class KeyStandingWord(Enum):
    NEW = "new"
    RUNNING = "running"
    KEPT = "kept"
    REFUSED = "refused"


@strawberry.enum(name="RouteTrigger", description="Why the deployments of a model are asked.")
class TriggerWord(Enum):
    FAILURE = "failure"
    CONTEXT = "context"
    CONTENT = "content"


@strawberry.enum(name="RouteObstacle", description="What stands against a deployment.")
class ObstacleWord(Enum):
    DISABLED = "disabled"
    UNFIT = "unfit"
    BREAKER = "breaker"


@strawberry.type(description="What a request costs at a deployment, in US dollars.")
class ExplainedPrice:
    origin: str = strawberry.field(description="Who says so: `operator`, `provider` or `table`.")
    date: str | None = strawberry.field(description="As of which day.")
    worst: Usd | None = strawberry.field(description="The most; null where nothing bounds the answer.")
    typical: Usd = strawberry.field(description="An estimate for the tokens of `Explanation.typicalOutputTokens`.")

    @classmethod
    def of(cls, view: PriceView) -> Self:
        return cls(
            origin=view.origin,
            date=_day(view.stated_on),
            worst=_usd(view.worst_nano_usd),
            typical=Usd(usd_text(view.typical_nano_usd)),
        )


@strawberry.type(description="A deployment for one request.")
class ExplainedDeployment:
    provider: str
    upstream_model: str
    rank: int | None = strawberry.field(description="When it would be tried, from 1; null: not, as things are.")
    obstacle: ObstacleWord | None
    why: str | None = strawberry.field(description="What stands against it, in words that follow its name.")
    breaker: str = strawberry.field(description="`closed`, `limited`, `open` or `half_open`.")
    breaker_since: Moment
    in_flight: Count
    latency_ms: float | None = strawberry.field(description="To the first content, lately; null: not known.")
    weight: float
    priority: int
    tags: list[str]
    score_ms: float | None = strawberry.field(description="What a request may wait for there (strategy `latency`).")
    compared: Usd | None = strawberry.field(description="What they are compared by (strategy `cost`).")
    price: ExplainedPrice | None = strawberry.field(description="Null: nobody knows it.")

    @classmethod
    def of(cls, view: DeploymentView) -> Self:
        return cls(
            provider=view.candidate.provider,
            upstream_model=view.candidate.upstream_model,
            rank=view.rank,
            obstacle=None if view.obstacle is None else ObstacleWord(view.obstacle),
            why=view.why,
            breaker=view.breaker,
            breaker_since=Moment(view.breaker_since),
            in_flight=Count(view.in_flight),
            latency_ms=_ms(view.latency_s),
            weight=view.weight,
            priority=view.priority,
            tags=[*view.tags],
            score_ms=_ms(view.score_s),
            compared=_usd(view.cost_nano_usd),
            price=None if view.price is None else ExplainedPrice.of(view.price),
        )


@strawberry.type(description="The deployments of one model.")
class ExplainedGroup:
    model: str
    trigger: TriggerWord
    strategy: str
    sticky: str | None = strawberry.field(description="Where requests that begin alike go to.")
    deployments: list[ExplainedDeployment]

    @classmethod
    def of(cls, view: GroupView) -> Self:
        return cls(
            model=view.model,
            trigger=TriggerWord(view.trigger),
            strategy=view.strategy,
            sticky=None if view.sticky is None else _name(view.sticky),
            deployments=[ExplainedDeployment.of(one) for one in view.deployments],
        )


@strawberry.type(description="A limit that a request meets.")
class ExplainedLimit:
    state: LimitStateType
    takes: str = strawberry.field(description="The most that the request takes: BigInt, or USD of budgets, as text.")
    has_room: bool | None = strawberry.field(description="Null: it is not known.")

    @classmethod
    def of(cls, view: LimitView) -> Self:
        takes = usd_text(view.takes) if view.state.limit.kind == "money" else str(view.takes)
        return cls(state=LimitStateType.of(view.state), takes=takes, has_room=view.has_room)


@strawberry.type(description="The limits that a request meets, and the most that it may use.")
class ExplainedLimits:
    limits: list[ExplainedLimit]
    input_tokens: Count
    output_tokens: Count | None = strawberry.field(description="Null: nothing bounds the answer.")
    output_cap: Count | None = strawberry.field(description="What the provider would be sent; null: as it was asked.")
    unpriced: list[str] = strawberry.field(description="Deployments of unknown price that a budget does not allow.")
    reach: ReachWord

    @classmethod
    def of(cls, view: LimitsView) -> Self:
        return cls(
            limits=[ExplainedLimit.of(one) for one in view.limits],
            input_tokens=Count(view.input_tokens),
            output_tokens=None if view.output_tokens is None else Count(view.output_tokens),
            output_cap=None if view.cap is None else Count(view.cap),
            unpriced=[_name(one) for one in view.unpriced],
            reach=ReachWord(view.reach),
        )


@strawberry.type(description="What the response cache has for a request.")
class ExplainedCache:
    status: CacheWord
    reason: str | None = strawberry.field(description="Why nothing would be given.")
    cache_key: str | None = strawberry.field(description="As in records.")
    age_s: int | None
    ttl_s: int | None
    in_flight: bool = strawberry.field(description="Whether another request has just asked for the same.")
    by_likeness: bool = strawberry.field(description="Whether an answer to a question in other words may be given.")

    @classmethod
    def of(cls, view: CacheView) -> Self:
        return cls(
            status=CacheWord(view.status),
            reason=view.reason,
            cache_key=view.key,
            age_s=view.age_s,
            ttl_s=view.ttl_s,
            in_flight=view.in_flight,
            by_likeness=view.alike,
        )


@strawberry.type(description="A filter that a request meets.")
class ExplainedFilter:
    name: str
    type: str
    on: list[DirectionWord]
    action: FilterActionWord
    asked: bool = strawberry.field(description="It judges by asking somebody, which an explanation does not.")
    verdicts: list[FilterVerdict] = strawberry.field(description="What it says of the prompt.")
    score: float | None = strawberry.field(description="From 0 to 1, of filters that weigh signals.")

    @classmethod
    def of(cls, view: FilterView) -> Self:
        return cls(
            name=view.name,
            type=view.type,
            on=[DirectionWord(side) for side in view.on],
            action=FilterActionWord(view.action),
            asked=view.is_asked,
            verdicts=[FilterVerdict.of(one) for one in view.verdicts],
            score=None if view.score is None else round(view.score, 3),
        )


@strawberry.type(description="How often a provider may be asked again for one request.")
class ExplainedRetries:
    provider: str
    max_retries: int
    budget_left: int = strawberry.field(description="Of all requests to it, in this process.")


@strawberry.type(description="The error that a request would get.")
class ExplainedError:
    code: str
    message: str
    status: int = strawberry.field(description="Of the answer over REST.")
    extensions: Json = strawberry.field(description="As the error of GraphQL has them.")

    @classmethod
    def of(cls, error: LLMServiceError, *, request_id: str) -> Self:
        return cls(
            code=error.code,
            message=error.message,
            status=spoken(error).status,
            extensions=Json(extensions_of(error, request_id=request_id)),
        )


@strawberry.type(description="What would happen.")
class ExplainedResult:
    would: str = strawberry.field(description="In words; with the deployment that would be called.")
    action: ActionWord
    cache: CacheWord | None = strawberry.field(description="What the answer would say of the cache.")
    provider: str | None
    upstream_model: str | None
    retries: list[ExplainedRetries]
    deadline_s: float | None
    error: ExplainedError | None

    @classmethod
    def of(cls, view: ResultView, *, request_id: str) -> Self:
        one = view.candidate
        return cls(
            would=view.would,
            action=ActionWord(view.action),
            cache=None if view.cache is None else CacheWord(view.cache),
            provider=None if one is None else one.provider,
            upstream_model=None if one is None else one.upstream_model,
            retries=[
                ExplainedRetries(provider=each.provider, max_retries=each.max_retries, budget_left=each.budget_left)
                for each in view.retries
            ],
            deadline_s=view.deadline_s,
            error=None if view.error is None else ExplainedError.of(view.error, request_id=request_id),
        )


@strawberry.type(name="Explanation", description="What would become of a request, and why.")
class ExplanationType:
    model: str
    result: ExplainedResult
    route: list[ExplainedGroup]
    limits: ExplainedLimits | None
    cache: ExplainedCache | None
    idempotency: KeyStandingWord | None = strawberry.field(description="Null: the request has no such key.")
    filters: list[ExplainedFilter] = strawberry.field(description="Those that the request meets, in their order.")
    typical_input_tokens: Count | None = strawberry.field(description="Of the prompt, as they are counted.")
    typical_output_tokens: Count | None = strawberry.field(description="Of an answer of usual length.")

    @classmethod
    def of(cls, explanation: Explanation, *, request_id: str) -> Self:
        limits, cache, typical = explanation.limits, explanation.cache, explanation.typical
        known = explanation.idempotency
        return cls(
            model=explanation.model,
            result=ExplainedResult.of(explanation.result, request_id=request_id),
            route=[ExplainedGroup.of(group) for group in explanation.route],
            limits=None if limits is None else ExplainedLimits.of(limits),
            cache=None if cache is None else ExplainedCache.of(cache),
            idempotency=None if known is None else KeyStandingWord(known),
            filters=[ExplainedFilter.of(one) for one in explanation.filters],
            typical_input_tokens=None if typical is None else Count(typical.input_tokens),
            typical_output_tokens=None if typical is None else Count(typical.output_tokens),
        )


def _name(candidate: Candidate) -> str:
    return f"{candidate.provider}/{candidate.upstream_model}"


def _usd(nano: int | None) -> Usd | None:
    return None if nano is None else Usd(usd_text(nano))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
