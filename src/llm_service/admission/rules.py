"""Which limits a request meets: looked up once for each kind of caller, and again when a budget's period ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from math import inf
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from llm_service.admission.options import AllowanceOptions, LimitsOptions
from llm_service.domain import (
    NO_ALLOWANCE,
    Allowance,
    Caller,
    Candidate,
    Claim,
    Claims,
    Limit,
    LimitKind,
    LimitScope,
    LimitSet,
    fact,
    span_at,
)

KNOWN_PLANS: Final = 10_000
PLACE, TOKENS, MONEY = range(3)
_CODES: Final[Mapping[LimitKind, int]] = MappingProxyType({"tokens": TOKENS, "money": MONEY})


Costs = tuple[int, int, int]
"""What a request takes at most of a limit of places, of tokens, of money."""
_Spread = Callable[[Costs], tuple[int, ...]]


@fact
class Plan:
    """The limits of one sort of request.

    ``valid_until``: Unix seconds, when the first budget's period ends. ``valid_from``: when it was seen to have begun;
    before that, the clock has been set back, perhaps into another period.

    ``sized``: the limits that depend on a request's size, each with its place among all, and with the place of what it
    is about in ``Costs``. ``places``: the claims of a request where only places are limited. ``free``: those of one
    that somebody else's call answers: it takes a place, no tokens and no money.
    """

    limits: tuple[Limit, ...]
    met: LimitSet
    sized: tuple[tuple[int, int, Limit], ...]
    places: Sequence[Claim]
    free: Sequence[Claim]
    counts_tokens: bool
    counts_money: bool
    valid_from: float
    valid_until: float
    spread: _Spread

    def claims(self, costs: Costs) -> Sequence[Claim]:
        """What a request of these costs claims."""
        return Claims(self.met, self.spread(costs)) if self.limits else ()


NO_LIMITS: Final = Plan(
    limits=(),
    met=LimitSet(()),
    sized=(),
    places=(),
    free=(),
    counts_tokens=False,
    counts_money=False,
    valid_from=-inf,
    valid_until=inf,
    spread=lambda costs: (),
)


class Rules:
    """The configured limits, and those of keys. ``now``: the wall clock, aware and UTC; ``time``: Unix seconds."""

    def __init__(self, options: LimitsOptions, *, now: Callable[[], datetime], time: Callable[[], float]) -> None:
        self._now = now
        self._time = time
        self._global = options.everybody.allowance
        self._per_key = options.per_key.allowance
        self._per_user = options.per_user.allowance
        self._per_model = _allowances(options.per_model)
        self._per_provider = _allowances(options.per_provider)
        self._plans: dict[tuple[str, int, str | None, str], Plan] = {}
        self._of_all: dict[str | None, Plan] = {}
        self._provider_plans: dict[str, Plan] = {}

    def of_caller(self, caller: Caller, *, user: str | None, model: str) -> Plan:
        """The limits of everybody, of the model, of the caller's key and of the user."""
        key = caller.key
        known = (caller.key_id, 0 if key is None else key.version, user, model)
        plan = self._plans.get(known)
        if plan is None or not plan.valid_from <= self._time() < plan.valid_until:
            if len(self._plans) >= KNOWN_PLANS:
                self._plans.clear()
            own = self._per_key if key is None else merged(key.allowance, self._per_key)
            plan = self._plans[known] = self._plan(
                ("key", caller.key_id, own),
                ("user", user or "", NO_ALLOWANCE if user is None else self._per_user),
                beside=self._whoever_asks(model),
            )
        return plan

    def _whoever_asks(self, model: str) -> Sequence[Limit]:
        """The limits of everybody and of the model, which all plans have in common."""
        allowed = self._per_model.get(model)
        named = None if allowed is None else model  # names are the callers' to invent
        plan = self._of_all.get(named)
        if plan is None or not plan.valid_from <= self._time() < plan.valid_until:
            plan = self._of_all[named] = self._plan(
                ("global", "", self._global), ("model", model, allowed or NO_ALLOWANCE)
            )
        return plan.limits

    def of_providers(self, candidates: Sequence[Candidate]) -> list[Plan]:
        """The limits of what is sent to the provider of each."""
        if not self._per_provider:
            return [NO_LIMITS] * len(candidates)
        return [self.of_provider(candidate.provider) for candidate in candidates]

    def of_provider(self, name: str) -> Plan:
        """The limits of what is sent to a provider."""
        plan = self._provider_plans.get(name)
        if plan is None or not plan.valid_from <= self._time() < plan.valid_until:
            plan = self._plan(("provider", name, self._per_provider.get(name, NO_ALLOWANCE)))
            self._provider_plans[name] = plan
        return plan

    def configured(self) -> Sequence[Limit]:
        """The limits that stand in the configuration for one subject each: of everybody, models and providers."""
        models = (self._plan(("model", name, allowed)) for name, allowed in self._per_model.items())
        plans = (self._plan(("global", "", self._global)), *models, *map(self.of_provider, self._per_provider))
        return [limit for plan in plans for limit in plan.limits]

    def of_key(self, caller: Caller) -> Sequence[Limit]:
        """The limits of one key alone."""
        own = self._per_key if caller.key is None else merged(caller.key.allowance, self._per_key)
        return self._plan(("key", caller.key_id, own)).limits

    def of_user(self, user: str) -> Sequence[Limit]:
        """The limits of one user alone."""
        return self._plan(("user", user, self._per_user)).limits

    def _plan(self, *subjects: tuple[LimitScope, str, Allowance], beside: Sequence[Limit] = ()) -> Plan:
        since, now = self._time(), self._now()
        return plan_of([*beside, *(limit for one in subjects for limit in limits_of(*one, now=now))], since=since)


def plan_of(limits: Sequence[Limit], *, since: float = -inf) -> Plan:
    """What these limits ask of a request. ``since``: Unix seconds, by which the periods of all budgets have begun."""
    if not limits:
        return NO_LIMITS
    ends = [limit.ends_at for limit in limits if limit.ends_at is not None]
    codes = [_CODES.get(limit.kind, PLACE) for limit in limits]
    met, free = LimitSet(limits), LimitSet(limit for limit in limits if limit.kind != "money")
    return Plan(
        limits=met.limits,
        met=met,
        sized=tuple(
            (place, code, limit) for place, (code, limit) in enumerate(zip(codes, limits, strict=True)) if code != PLACE
        ),
        places=Claims(met, (1,) * len(limits)),
        free=Claims(free, [int(limit.kind != "tokens") for limit in free.limits]) if free.limits else (),
        counts_tokens=TOKENS in codes,
        counts_money=MONEY in codes,
        valid_from=since if ends else -inf,
        valid_until=min(ends, default=inf),
        spread=_spread(codes),
    )


def _spread(codes: Sequence[int]) -> _Spread:
    """Picks the costs of a request for limits that are about these."""
    if len(codes) == 1:
        (code,) = codes
        return lambda costs: (costs[code],)
    return itemgetter(*codes)


def of_inner(plan: Plan) -> Plan:
    """What is left of a plan for a request of our own, made for the sake of one that has been admitted.

    That one holds the places, and was counted as one request of its caller, who did not choose what else is asked: of
    the limits of callers its money alone is met, of those of providers all but the places.
    """
    return plan_of(
        [one for one in plan.limits if one.kind == "money" or (one.scope == "provider" and one.kind != "concurrency")]
    )


def merged(own: Allowance, common: Allowance) -> Allowance:
    """A subject's own limits, and the common ones of the kinds that it does not state."""
    stated = {
        field: value
        for field in ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
        if (value := getattr(own, field)) is not None
    }
    if own.budget_nano_usd is not None:
        stated |= {"budget_nano_usd": own.budget_nano_usd, "budget_period": own.budget_period}
    return replace(common, **stated)


def limits_of(scope: LimitScope, subject: str, allowed: Allowance, *, now: datetime) -> list[Limit]:
    """What an allowance means for one subject at a moment (aware, UTC)."""
    counted: tuple[tuple[LimitKind, int | None], ...] = (
        ("requests", allowed.requests_per_minute),
        ("tokens", allowed.tokens_per_minute),
        ("concurrency", allowed.concurrent_requests),
    )
    limits = [
        Limit(key=f"{kind}:{scope}:{subject}", scope=scope, subject=subject, kind=kind, amount=amount)
        for kind, amount in counted
        if amount is not None
    ]
    if allowed.budget_nano_usd is not None:
        span = span_at(allowed.budget_period, now)
        budget = Limit(
            key=f"money:{scope}:{subject}:{span.name}",
            scope=scope,
            subject=subject,
            kind="money",
            amount=allowed.budget_nano_usd,
            period=allowed.budget_period,
            ends_at=None if span.until is None else int(span.until.timestamp()),
        )
        limits.append(budget)
    return limits


def _allowances(options: Mapping[str, AllowanceOptions]) -> dict[str, Allowance]:
    return {name: allowed.allowance for name, allowed in options.items()}
