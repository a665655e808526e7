"""What responses say of the cache: ``x-llm-cache``, ``Age`` (RFC 9111) and ``Cache-Status`` (RFC 9211)."""

from typing import Final

from llm_service.cache import age_s, forward_reason, forward_status, hit_status, ttl_s
from llm_service.pipeline import Exchange

PRIVATE: Final = b"cache-control: private, no-store\r\n"
"""For whole answers: no cache between here and the client may give one user's answer to another."""


def cache_block(exchange: Exchange, now: float) -> bytes:
    """The header lines of an answer; ``now``: Unix seconds."""
    kept = exchange.kept
    lines = (exchange.cache.encode(), _cache_status(exchange, now).encode())
    if kept is None:
        return b"x-llm-cache: %b\r\ncache-status: %b\r\n" % lines
    return b"x-llm-cache: %b\r\ncache-status: %b\r\nage: %d\r\n" % (*lines, age_s(kept, now))


def _cache_status(exchange: Exchange, now: float) -> str:
    plan, kept = exchange.plan, exchange.kept
    if kept is None or exchange.called:
        shared = kept is None and exchange.is_free
        return forward_status(forward_reason(plan, exchange.found, now), collapsed=shared)
    if plan is None or exchange.cache == "replay":  # an Idempotency-Key knows no freshness
        return hit_status(None)
    return hit_status(ttl_s(kept, plan, now))
