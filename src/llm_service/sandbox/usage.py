"""Usage as a behaviour wants it: missing, null, zero, huge, contradictory."""

from __future__ import annotations

from typing import Any, Final

from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.messages import Json
from llm_service.sandbox.stream import Usage

HUGE_TOKENS: Final = 1_000_000_000


def bent_usage(usage: Json | Usage, behaviour: Behaviour) -> Json | Usage:
    """The usage object of an answer, or what stands in its place."""
    if not behaviour or isinstance(usage, Usage):
        return usage
    if behaviour.on("usage-none"):
        return Usage.ABSENT
    if behaviour.on("usage-null"):
        return Usage.NULL
    if behaviour.on("usage-zero"):
        return dict(_zero(usage))
    if behaviour.on("usage-huge"):
        return {**usage, "completion_tokens": HUGE_TOKENS, "total_tokens": HUGE_TOKENS + int(usage["prompt_tokens"])}
    if behaviour.on("usage-odd"):
        details = {"reasoning_tokens": int(usage["completion_tokens"]) + 1}
        return {**usage, "completion_tokens_details": details, "total_tokens": int(usage["total_tokens"]) + 59}
    return usage


def _zero(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _zero(inner) for name, inner in value.items()}
    return value if isinstance(value, bool) else 0
