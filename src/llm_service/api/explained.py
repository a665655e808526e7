"""An explanation as JSON: money as decimals in USD, moments as RFC 3339."""

from typing import Any

from llm_service.api.errors import error_object, spoken
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
    moment_text,
    state_object,
    verdict_object,
)

Json = dict[str, Any]


def explanation_object(explanation: Explanation, *, request_id: str) -> Json:
    """The whole of it."""
    typical = explanation.typical
    return {
        "operation": explanation.operation,
        "model": explanation.model,
        "result": _result(explanation.result, request_id),
        "route": [_group(group) for group in explanation.route],
        "limits": None if explanation.limits is None else _limits(explanation.limits),
        "cache": None if explanation.cache is None else _cache(explanation.cache),
        "idempotency": explanation.idempotency,
        "typical": None
        if typical is None
        else {"input_tokens": typical.input_tokens, "output_tokens": typical.output_tokens},
        "filters": [_filter(one) for one in explanation.filters],
    }


def _result(result: ResultView, request_id: str) -> Json:
    one = result.candidate
    return {
        "would": result.would,
        "action": result.action,
        "cache": result.cache,
        "provider": None if one is None else one.provider,
        "upstream_model": None if one is None else one.upstream_model,
        "retries": [
            {"provider": each.provider, "max_retries": each.max_retries, "budget_left": each.budget_left}
            for each in result.retries
        ],
        "deadline_s": result.deadline_s,
        "status": None if result.error is None else spoken(result.error).status,
        "error": None if result.error is None else _error(result.error, request_id),
    }


def _error(error: LLMServiceError, request_id: str) -> Json:
    """What the request's own answer would say."""
    return error_object(error, request_id=request_id)


def _group(group: GroupView) -> Json:
    return {
        "model": group.model,
        "trigger": group.trigger,
        "strategy": group.strategy,
        "sticky": None if group.sticky is None else _name(group.sticky),
        "deployments": [_deployment(one) for one in group.deployments],
    }


def _deployment(view: DeploymentView) -> Json:
    return {
        "provider": view.candidate.provider,
        "upstream_model": view.candidate.upstream_model,
        "rank": view.rank,
        "fits": view.obstacle is None,
        "obstacle": view.obstacle,
        "why": view.why,
        "breaker": {"state": view.breaker, "since": moment_text(view.breaker_since)},
        "in_flight": view.in_flight,
        "latency_ms": None if view.latency_s is None else round(view.latency_s * 1000, 3),
        "weight": view.weight,
        "priority": view.priority,
        "tags": [*view.tags],
        "score_ms": None if view.score_s is None else round(view.score_s * 1000, 3),
        "compared_usd": _usd(view.cost_nano_usd),
        "price": None if view.price is None else _price(view.price),
    }


def _price(price: PriceView) -> Json:
    return {
        "origin": price.origin,
        "date": None if price.stated_on is None else price.stated_on.isoformat(),
        "worst_usd": _usd(price.worst_nano_usd),
        "typical_usd": usd_text(price.typical_nano_usd),
    }


def _limits(limits: LimitsView) -> Json:
    return {
        "limits": [_limit(one) for one in limits.limits],
        "input_tokens": limits.input_tokens,
        "output_tokens": limits.output_tokens,
        "output_cap": limits.cap,
        "unpriced": [_name(one) for one in limits.unpriced],
        "reach": limits.reach,
    }


def _limit(view: LimitView) -> Json:
    takes = usd_text(view.takes) if view.state.limit.kind == "money" else view.takes
    return {**state_object(view.state), "takes": takes, "has_room": view.has_room}


def _cache(cache: CacheView) -> Json:
    return {
        "status": cache.status,
        "reason": cache.reason,
        "cache_key": cache.key,
        "age_s": cache.age_s,
        "ttl_s": cache.ttl_s,
        "in_flight": cache.in_flight,
        "by_likeness": cache.alike,
    }


def _filter(view: FilterView) -> Json:
    return {
        "name": view.name,
        "type": view.type,
        "on": [*view.on],
        "action": view.action,
        "on_failure": view.on_failure,
        "asked": view.is_asked,
        "verdicts": [verdict_object(one) for one in view.verdicts],
        "score": None if view.score is None else round(view.score, 3),
    }


def _name(candidate: Candidate) -> str:
    return f"{candidate.provider}/{candidate.upstream_model}"


def _usd(nano: int | None) -> str | None:
    return None if nano is None else usd_text(nano)
