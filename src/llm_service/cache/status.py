"""The header ``Cache-Status`` (RFC 9211): what the cache did, in the words of the standard."""

from typing import Final, Literal

from llm_service.cache.freshness import ttl_s
from llm_service.cache.policy import CachePlan
from llm_service.domain import KeptAnswer

CACHE_NAME: Final = "llm-service"
ForwardReason = Literal["bypass", "uri-miss", "request", "stale"]


def forward_reason(plan: CachePlan | None, answer: KeptAnswer | None, now: float) -> ForwardReason:
    """Why a request goes to the provider, as specific as is known (RFC 9211 section 2.2).

    ``answer``: what the look-up found and was not given out. ``request``: it is fresh, and the client does not take it.
    """
    if plan is None:
        return "bypass"
    if answer is None or answer.digest != plan.digest:
        return "uri-miss"
    return "request" if ttl_s(answer, plan, now) >= 0 else "stale"


def hit_status(ttl_s: int | None) -> str:
    """Of a kept answer that was given out; ``ttl_s``: how long it is still fresh, negative for a stale one.

    ``None``: it is given out whether fresh or not.
    """
    return f"{CACHE_NAME}; hit" if ttl_s is None else f"{CACHE_NAME}; hit; ttl={ttl_s}"


def forward_status(reason: ForwardReason, *, stored: bool = False, collapsed: bool = False) -> str:
    """Of an answer that the provider gave. ``stored``: it was kept; ``collapsed``: another request had asked for it.

    What the service answers by itself (an error of its own, a miss with ``only-if-cached``) has no such header.
    """
    return f"{CACHE_NAME}; fwd={reason}{'; collapsed' if collapsed else ''}{'; stored' if stored else ''}"
