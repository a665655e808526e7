"""Recorded requests, of which a test says only what matters to it."""

from typing import Any

from llm_service.cache import PastRequest


def past(at: float = 0, cache_key: str | None = "a", **given: Any) -> PastRequest:
    """A whole answer that cost 5 nano-USD and took no time."""
    fields: dict[str, Any] = {
        "key_id": "key_1", "user": None, "status": "ok", "cache": "miss", "streamed": False, "output_tokens": 0,
        "worth_nano_usd": 5, "duration_s": 0,
    }  # fmt: skip
    return PastRequest(at=at, cache_key=cache_key, **{**fields, **given})
