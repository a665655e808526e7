"""Whether a kept answer may be given now: by its age, and by what the client asks for (RFC 9111, RFC 5861)."""

from math import floor
from typing import Literal

from llm_service.cache.policy import CachePlan
from llm_service.domain import ANY_ANSWER, KeptAnswer

Freshness = Literal["fresh", "stale"]
Serving = Literal["hit", "stale", "refreshed"]
"""How a kept answer is given: fresh, stale since the client takes that, or stale while a new one is fetched."""


def age_s(answer: KeptAnswer, now: float) -> int:
    """For the header ``Age``: whole seconds since the answer was made, never negative. ``now``: Unix seconds."""
    return int(_age(answer, now))


def ttl_s(answer: KeptAnswer, plan: CachePlan, now: float) -> int:
    """For how many more seconds an answer is fresh; negative when it is stale."""
    return floor(-_staleness(answer, plan, now))


def is_servable(answer: KeptAnswer, plan: CachePlan, now: float) -> Freshness | None:
    """Whether an answer may be given without any further reason; ``stale``: because the client takes that.

    Applies ``max-age``, ``min-fresh`` and ``max-stale`` (RFC 9111 section 5.2.1). ``now``: Unix seconds.
    """
    if not _concerns(answer, plan):
        return None
    staleness, control = _staleness(answer, plan, now), plan.control
    if control is ANY_ANSWER:
        return "fresh" if staleness < 0 else None
    age = _age(answer, now)
    if control.max_age_s is not None and age > control.max_age_s:
        return None
    if control.min_fresh_s is not None and -staleness < control.min_fresh_s:
        return None
    if staleness < 0:
        return "fresh"
    allowed = control.max_stale_s is not None and staleness <= control.max_stale_s
    return "stale" if allowed and age < answer.kept_s else None


def served_as(answer: KeptAnswer, plan: CachePlan, now: float) -> Serving | None:
    """How an answer is given now; ``None``: it is not, unless a new one cannot be had."""
    standing = is_servable(answer, plan, now)
    if standing is not None:
        return "hit" if standing == "fresh" else "stale"
    return "refreshed" if may_serve_while_revalidating(answer, plan, now) else None


def may_serve_while_revalidating(answer: KeptAnswer, plan: CachePlan, now: float) -> bool:
    """Whether a stale answer may be given while a new one is fetched (RFC 5861 section 3)."""
    return _may_be_stale(answer, plan, now, within_s=plan.while_revalidating_s)


def may_serve_on_error(answer: KeptAnswer, plan: CachePlan, now: float) -> bool:
    """Whether a stale answer may be given in place of an error (RFC 5861 section 4)."""
    return _may_be_stale(answer, plan, now, within_s=plan.on_error_s)


def _may_be_stale(answer: KeptAnswer, plan: CachePlan, now: float, *, within_s: float) -> bool:
    """Never against the client's word: who asks for an age, for freshness or for less staleness is not overruled."""
    control, staleness = plan.control, _staleness(answer, plan, now)
    wished = control.max_age_s is None and control.min_fresh_s is None
    bearable = control.max_stale_s is None or staleness <= control.max_stale_s
    return _concerns(answer, plan) and wished and bearable and 0 <= staleness < within_s


def _concerns(answer: KeptAnswer, plan: CachePlan) -> bool:
    """Whether an answer is one to this very request, and the request takes kept ones."""
    return plan.serve and answer.digest == plan.digest


def _age(answer: KeptAnswer, now: float) -> float:
    stored_at = answer.stored_at
    return now - stored_at if now > stored_at else 0.0  # another machine's clock may be ahead of ours


def _staleness(answer: KeptAnswer, plan: CachePlan, now: float) -> float:
    """Seconds since the answer ceased to be fresh, negative while it is. A shorter time of today's settings holds."""
    return _age(answer, now) - min(answer.fresh_s, plan.fresh_s)
