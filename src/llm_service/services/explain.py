"""What would become of a request: asked of the stages that would decide it, none of which does anything."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from llm_service.admission import Admission, Foreseen, Gate
from llm_service.cache import CachePlan, age_s, forward_reason, may_serve_on_error, served_as, ttl_s
from llm_service.domain import (
    Candidate,
    Claim,
    KeptAnswer,
    Limit,
    LimitState,
    LLMServiceError,
    ModelRequest,
    OnlyIfCachedMiss,
    Usage,
    fact,
    nano_usd,
)
from llm_service.filters import ASKING, FilterOptions
from llm_service.pipeline import (
    MISSED,
    UNSERVED,
    Call,
    Check,
    Exchange,
    Foreseeing,
    Remember,
    Replay,
    Resolver,
    Screen,
    Share,
    check_allowed,
    has_choice,
    too_much,
)
from llm_service.prices import ModelPrice
from llm_service.routing import Group, Judgement, Overload, Ranking, may_fall_back, score
from llm_service.runtime import Clock
from llm_service.services.explanation import (
    CacheView,
    DeploymentView,
    Explanation,
    FilterView,
    GroupView,
    KeyStanding,
    LimitsView,
    LimitView,
    PriceView,
    ResultView,
    RetriesView,
)
from llm_service.storage import CacheLook

TYPICAL_OUTPUT_TOKENS: Final = 300
"""Of an answer of usual length, for estimates."""
_NOT_GIVEN: Final = {
    "uri-miss": "nothing is kept for this request",
    "stale": "what is kept is too old",
    "request": "the request does not take what is kept",
    "bypass": "the cache is passed by",
}


@fact
class ExplainParts:
    """What decides in the stages. ``screen``: ``None`` where there are no filters. ``price``: of a deployment;
    ``max_retries``: of a provider."""

    overload: Overload
    resolver: Resolver
    check: Check
    screen: Screen | None
    remember: Remember
    replay: Replay
    ranking: Ranking
    admission: Admission
    gate: Gate
    share: Share
    call: Call
    price: Callable[[Candidate], ModelPrice | None]
    max_retries: Callable[[str], int]
    clock: Clock


@dataclass(slots=True)
class _Found:
    """What the cache has. ``expected``: an answer is there, or on its way, as admission sees it."""

    view: CacheView
    kept: KeptAnswer | None = None
    expected: bool = False


class Explain:
    """Explains exchanges that nobody sends on: nothing is called, taken, held or kept for them.

    What is seen is a moment of this process: the request itself may find another one.
    """

    def __init__(self, parts: ExplainParts) -> None:
        self._parts = parts

    async def of(self, exchange: Exchange, *, draining: LLMServiceError | None = None) -> Explanation:
        """What would become of a request. ``draining``: why the process takes none at all."""
        parts, request = self._parts, exchange.request
        refusals = [draining] if draining is not None else []
        if parts.overload.why is not None:
            refusals.append(too_much())
        try:
            check_allowed(exchange.caller.key, request)
            exchange.route = parts.resolver.route(request)
        except LLMServiceError as error:
            result = ResultView(action="refuse", error=[*refusals, error][0])
            return Explanation(operation=request.operation, model=request.model, result=result)
        try:
            await parts.check.judge(exchange)
        except LLMServiceError as error:
            refusals.append(error)
        return await self._routed(exchange, refusals)

    async def _routed(self, exchange: Exchange, refusals: list[LLMServiceError]) -> Explanation:
        """``refusals``: in the order of the row, the first is what the client would be told."""
        filters = await self._screened(exchange, refusals)
        found = await self._cached(exchange)
        if exchange.plan is None and exchange.control.only_if_cached:
            refusals.append(OnlyIfCachedMiss(MISSED))
        idempotency = await self._keyed(exchange, refusals)
        replayed = None if refusals else _replayed(idempotency)
        self._rank(exchange, refusals)
        full = await self._admitted(exchange)
        admitted = await self._admitted_free(exchange) if found.expected else full
        result = replayed or self._result(exchange, found, admitted, refusals)
        first = exchange.route.candidates[(exchange.order or exchange.route.plain)[full.candidate]]
        typical = await self._typical(exchange.sent, first, full)
        return Explanation(
            operation=exchange.request.operation,
            model=exchange.request.model,
            result=replace(result, deadline_s=_deadline_s(exchange)),
            route=self._groups(exchange, full, typical),
            limits=await self._limits(exchange, full, admitted),
            cache=found.view,
            idempotency=idempotency,
            typical=typical,
            filters=filters,
        )

    # -- what the stages would decide, in the order of the row

    async def _screened(self, exchange: Exchange, refusals: list[LLMServiceError]) -> Sequence[FilterView]:
        """What the filters would say of the prompt. Those that ask somebody are not asked."""
        screen = self._parts.screen
        if screen is None:
            return ()
        foreseen = await screen.foresee(exchange)
        if foreseen.refusal is not None:
            refusals.append(foreseen.refusal)
        return [_filter_view(options, foreseen) for options in exchange.policy.all]

    async def _cached(self, exchange: Exchange) -> _Found:
        remember = self._parts.remember
        plan = remember.plan(exchange)
        exchange.plan_cache(plan)
        if plan is None:
            why = remember.policy.why_not(exchange.request, exchange.control)
            return _Found(CacheView(status="bypass", reason=why))
        look = remember.store.look(plan.digest, plan.groups)
        at_once = isinstance(look, CacheLook)
        if not isinstance(look, CacheLook):
            look = await look
        expected = at_once and (remember.is_there(plan, look) or remember.is_on_its_way(exchange, plan))
        in_flight = await self._parts.share.is_in_flight(exchange, plan)
        view = self._cache_view(exchange, plan, look.answer, in_flight=in_flight)
        return _Found(view, look.answer, expected)

    def _cache_view(
        self, exchange: Exchange, plan: CachePlan, kept: KeptAnswer | None, *, in_flight: bool
    ) -> CacheView:
        now = self._parts.clock.time()
        serving = None if kept is None else served_as(kept, plan, now)
        return CacheView(
            status="miss" if serving is None else "hit" if serving == "hit" else "stale",
            reason=_NOT_GIVEN[forward_reason(plan, kept, now)] if serving is None else None,
            key=exchange.cache_key,
            age_s=None if kept is None else age_s(kept, now),
            ttl_s=None if kept is None else ttl_s(kept, plan, now),
            in_flight=in_flight,
            alike=plan.question is not None and plan.serve,
        )

    async def _keyed(self, exchange: Exchange, refusals: list[LLMServiceError]) -> KeyStanding | None:
        try:
            return await self._parts.replay.foresee(exchange)
        except LLMServiceError as error:
            refusals.append(error)
            return "refused"

    def _rank(self, exchange: Exchange, refusals: list[LLMServiceError]) -> None:
        route = exchange.route
        exchange.order = route.plain
        if has_choice(route, exchange.tags):
            try:
                exchange.order = self._parts.ranking.foreseen(route, exchange.sent, exchange.tags)
            except LLMServiceError as error:
                refusals.append(error)
                exchange.order = ()

    async def _admitted(self, exchange: Exchange) -> Foreseen:
        route = exchange.route
        return await self._parts.admission.foresee(
            exchange.sent,
            lease_id=exchange.id,
            caller=exchange.caller,
            user=exchange.user,
            candidates=[route.candidates[place] for place in exchange.order or route.plain],
            later=route.later,
        )

    async def _admitted_free(self, exchange: Exchange) -> Foreseen:
        return await self._parts.admission.foresee_free(
            exchange.sent, lease_id=exchange.id, caller=exchange.caller, user=exchange.user
        )

    def _result(
        self,
        exchange: Exchange,
        found: _Found,
        admitted: Foreseen,
        refusals: Sequence[LLMServiceError],
    ) -> ResultView:
        """What follows from all that; the first refusal is what the client would be told."""
        cache = found.view
        if admitted.error is not None:
            refusals = [*refusals, admitted.error]
        if refusals:
            return ResultView(action="refuse", error=refusals[0])
        if cache.status in ("hit", "stale"):
            return ResultView(action="answer from the cache", cache=cache.status)
        if exchange.control.only_if_cached:
            return ResultView(action="refuse", error=OnlyIfCachedMiss(MISSED))
        if cache.in_flight:
            return ResultView(action="join", cache="coalesced")
        asked = self._asked(exchange, admitted)
        if isinstance(asked, Candidate):
            return ResultView(action="call", cache=cache.status, candidate=asked, retries=self._retries(exchange))
        return self._unserved(exchange, found, asked)

    def _unserved(self, exchange: Exchange, found: _Found, error: LLMServiceError) -> ResultView:
        plan, kept = exchange.plan, found.kept
        stale = plan is not None and kept is not None and may_serve_on_error(kept, plan, self._parts.clock.time())
        if stale and isinstance(error, UNSERVED):
            return ResultView(action="answer from the cache", cache="stale")
        return ResultView(action="refuse", error=error)

    def _asked(self, exchange: Exchange, admitted: Foreseen) -> Candidate | LLMServiceError:
        """Who would be called first, or why nobody can be."""
        parts, route = self._parts, exchange.route
        first = exchange.order[admitted.candidate]
        hindrance = parts.call.hindrance(route.members[first])
        if hindrance is None:
            return route.candidates[first]
        if may_fall_back(hindrance) is None:
            return hindrance
        siblings = route.group_of[first].places
        others = sorted((place for place in exchange.order if place != first), key=lambda place: place not in siblings)
        for place in others:
            member, candidate = route.members[place], route.candidates[place]
            ready = member.breaker.ready(parts.clock.monotonic()) and candidate not in admitted.unpriced
            if ready and parts.call.hindrance(member) is None:
                return candidate
        return hindrance

    # -- what is shown of it

    def _retries(self, exchange: Exchange) -> Sequence[RetriesView]:
        now = self._parts.clock.monotonic()
        homes = {member.home.name: member.home for member in map(exchange.route.members.__getitem__, exchange.order)}
        return [
            RetriesView(provider=name, max_retries=self._parts.max_retries(name), budget_left=home.budget.left(now))
            for name, home in homes.items()
        ]

    async def _typical(self, request: ModelRequest, candidate: Candidate, sized: Foreseen) -> Usage:
        """The prompt's tokens, and those of an answer of usual length, as far as its cap allows one."""
        counted = await self._parts.admission.count(request, candidate)
        most = TYPICAL_OUTPUT_TOKENS if sized.output_tokens is None else sized.output_tokens
        return Usage(input_tokens=counted, output_tokens=min(TYPICAL_OUTPUT_TOKENS, most))

    def _groups(self, exchange: Exchange, sized: Foreseen, typical: Usage) -> Sequence[GroupView]:
        route = exchange.route
        judged = self._parts.ranking.judged(route, exchange.sent, exchange.tags)
        views = [self._deployment(exchange, judgement, sized, typical) for judgement in judged]
        return [
            GroupView(
                model=group.name,
                trigger=group.trigger,
                strategy=group.strategy,
                sticky=_first_of(exchange, group) if group.sticky else None,
                deployments=[views[place] for place in group.places],
            )
            for group in route.groups
        ]

    def _deployment(self, exchange: Exchange, judgement: Judgement, sized: Foreseen, typical: Usage) -> DeploymentView:
        route, place, now = exchange.route, judgement.place, self._parts.clock.monotonic()
        way, member, group = route.ways[place], route.members[place], route.group_of[place]
        breaker, latency_s = member.breaker, member.latency(now) or None
        return DeploymentView(
            candidate=way.candidate,
            rank=list(exchange.order).index(place) + 1 if place in exchange.order else None,
            obstacle=judgement.obstacle,
            why=judgement.why or None,
            breaker=breaker.state(now),
            breaker_since=datetime.fromtimestamp(breaker.since, UTC),
            in_flight=member.in_flight,
            latency_s=latency_s,
            weight=way.weight,
            priority=way.priority,
            tags=way.tags,
            score_s=score(member, now) if group.strategy == "latency" and latency_s is not None else None,
            cost_nano_usd=self._parts.ranking.cost(way.candidate) if group.strategy == "cost" else None,
            price=self._price(way.candidate, exchange.at, sized, typical),
        )

    def _price(self, candidate: Candidate, at: datetime, sized: Foreseen, typical: Usage) -> PriceView | None:
        price = self._parts.price(candidate)
        if price is None:
            return None
        worst = None
        if sized.output_tokens is not None:
            worst = price.ceiling(at).worst_case_nano(
                input_tokens=sized.input_tokens, output_tokens=sized.output_tokens
            )
        return PriceView(
            origin=price.origin,
            stated_on=price.price_date(at),
            worst_nano_usd=worst,
            typical_nano_usd=nano_usd(price.cost(typical, at)),
        )

    async def _limits(self, exchange: Exchange, sized: Foreseen, admitted: Foreseen) -> LimitsView:
        """The limits that the request meets; those of providers are shown to admins alone."""
        claims: dict[Limit, int] = {claim.limit: claim.cost for claim in admitted.callers}
        if "admin" in exchange.caller.scopes:
            for claim in _dearest(admitted.providers.values()):
                claims[claim.limit] = claim.cost
        gate = self._parts.gate
        states = await gate.read([*claims]) if claims else ()
        return LimitsView(
            limits=[_limit_view(state, takes) for state, takes in zip(states, claims.values(), strict=True)],
            input_tokens=sized.input_tokens,
            output_tokens=sized.output_tokens,
            cap=admitted.cap if exchange.output_cap is None else exchange.output_cap,
            unpriced=[one for one in exchange.route.candidates if one in sized.unpriced],
            reach=gate.reach,
        )


def _filter_view(options: FilterOptions, foreseen: Foreseeing) -> FilterView:
    return FilterView(
        name=options.called,
        type=options.type,
        on=options.sides,
        action=options.action,
        on_failure=options.on_failure,
        is_asked=options.type in ASKING,
        verdicts=[one for one in foreseen.verdicts if one.filter == options.called],
        score=foreseen.scores.get(options.called),
    )


def _replayed(idempotency: KeyStanding | None) -> ResultView | None:
    """What becomes of a request whose key has an answer, or will have one: nothing further is decided for it."""
    if idempotency == "kept":
        return ResultView(action="answer from the cache", cache="replay")
    return ResultView(action="join", cache="replay") if idempotency == "running" else None


def _first_of(exchange: Exchange, group: Group) -> Candidate | None:
    places = (place for place in exchange.order if place in group.places)
    place = next(places, None)
    return None if place is None else exchange.route.candidates[place]


def _dearest(claims: Iterable[Sequence[Claim]]) -> Iterable[Claim]:
    """One claim for each limit: the most that one of the deployments takes of it."""
    most: dict[Limit, Claim] = {}
    for claim in (claim for some in claims for claim in some):
        if claim.limit not in most or claim.cost > most[claim.limit].cost:
            most[claim.limit] = claim
    return most.values()


def _limit_view(state: LimitState, takes: int) -> LimitView:
    known = state.used is not None and state.reserved is not None
    has_room = (state.used or 0) + (state.reserved or 0) + takes <= state.limit.amount
    return LimitView(state=state, takes=takes, has_room=has_room if known else None)


def _deadline_s(exchange: Exchange) -> float | None:
    return None if exchange.deadline is None else exchange.deadline - exchange.received_at
