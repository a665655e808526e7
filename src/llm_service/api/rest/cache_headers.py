"""What responses say of the cache: ``x-llm-cache``, ``Age`` (RFC 9111) and ``Cache-Status`` (RFC 9211)."""

from functools import lru_cache
from typing import Final

from llm_service.cache import ForwardReason, age_s, forward_reason, forward_status, hit_status, ttl_s
from llm_service.domain import CacheStatus
from llm_service.pipeline import Exchange

PRIVATE: Final = b"cache-control: private, no-store\r\n"
"""For whole answers: no cache between here and the client may give one user's answer to another."""


def cache_block(exchange: Exchange, now: float) -> bytes:
    """The header lines of an answer; ``now``: Unix seconds."""
    plan, kept = exchange.plan, exchange.kept
    if kept is None:
        return _forwarded(exchange.cache, forward_reason(plan, exchange.found, now), exchange.is_free)
    if exchange.called:
        status = forward_status(forward_reason(plan, exchange.found, now))
    elif plan is None or exchange.cache == "replay":  # an Idempotency-Key knows no freshness
        status = hit_status(None)
    else:
        status = hit_status(ttl_s(kept, plan, now))
    lines = (exchange.cache.encode(), status.encode(), age_s(kept, now))
    return b"x-llm-cache: %b\r\ncache-status: %b\r\nage: %d\r\n" % lines


@lru_cache(maxsize=64)
def _forwarded(cache: CacheStatus, reason: ForwardReason, is_shared: bool) -> bytes:  # noqa: FBT001 - a key
    """The lines of an answer that was not kept: there are few of them."""
    lines = (cache.encode(), forward_status(reason, collapsed=is_shared).encode())
    return b"x-llm-cache: %b\r\ncache-status: %b\r\n" % lines
