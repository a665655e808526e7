"""Token counts and money from the ``usage`` of an answer, with the oddities of those who count."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from llm_service.domain import Cost, Usage

CostForm = Literal["usd", "usd_ticks"]
"""Where a provider tells its price: ``usage.cost`` in USD (OpenRouter), ``usage.cost_in_usd_ticks`` (xAI)."""

TICKS_PER_USD: Final = Decimal(10_000_000_000)  # https://docs.x.ai/developers/cost-tracking, seen 2026-11-23
MOST_USD: Final = Decimal(1_000_000)
"""No request costs more: a larger figure is a defect of who tells it."""
MOST_TOKENS: Final = 1_000_000_000
_WHOLES: Final = ("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens")


def usage_of(counts: Mapping[str, Any] | None) -> Usage | None:
    """Counts as we keep them; ``None`` where the provider says nothing usable, so that we have to count.

    A figure that no request can have (negative, of a billion or more, not a number) makes all of them worthless.
    Parts are never larger than the whole. What ``total_tokens`` has beyond prompt and completion is thinking that
    some providers count nowhere else (Gemini, xAI), so it is output.
    """
    if not counts:
        return None
    prompt, output = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if type(prompt) is int and type(output) is int and prompt >= 0 <= output:
        total = counts.get("total_tokens")
        if total == prompt + output < MOST_TOKENS:  # the plain form: nothing to make up for
            return _with_parts(counts, prompt, output)
    return _made_up(counts)


def _made_up(counts: Mapping[str, Any]) -> Usage | None:
    if any(_absurd(counts.get(name)) for name in _WHOLES):
        return None
    told = _first(counts, "prompt_tokens", "input_tokens")
    completion = _first(counts, "completion_tokens", "output_tokens")
    total = _count(counts.get("total_tokens"))
    if told is None and completion is None and total is None:
        return None
    prompt = told if told is not None else max((total or 0) - (completion or 0), 0)
    output = max(completion or 0, (total or 0) - prompt)
    if prompt + output >= MOST_TOKENS:
        return None
    return _with_parts(counts, prompt, output)


def _with_parts(counts: Mapping[str, Any], prompt: int, output: int) -> Usage:
    cached = reasoning = None
    if (details := counts.get("prompt_tokens_details")) is not None:
        cached = _part(details, "cached_tokens")
    if not cached and (hit := counts.get("prompt_cache_hit_tokens")) is not None:
        cached = _count(hit)
    if (details := counts.get("completion_tokens_details")) is not None:
        reasoning = _part(details, "reasoning_tokens")
    return Usage(prompt, output, min(cached, prompt) if cached else 0, min(reasoning, output) if reasoning else 0)


def cost_of(data: bytes, form: CostForm | None) -> Cost | None:
    """The provider's own figure, from the bytes that carry the usage: decimals, never floats.

    With the operator's own key at the model's maker (BYOK) OpenRouter's ``cost`` is its fee alone; what the maker
    bills is added.
    """
    if form is None or b'"cost' not in data:
        return None
    usage = _usage_in_decimals(data)
    if form == "usd_ticks":
        ticks = _money(usage.get("cost_in_usd_ticks"), most=MOST_USD * TICKS_PER_USD)
        return None if ticks is None else Cost(ticks / TICKS_PER_USD, "provider")
    usd = _money(usage.get("cost"))
    if usd is None:
        return None
    details = usage.get("cost_details")
    if usage.get("is_byok") is True and isinstance(details, dict):
        usd += _money(details.get("upstream_inference_cost")) or 0
    return Cost(usd, "provider")


def _usage_in_decimals(data: bytes) -> Mapping[str, Any]:
    try:
        usage = json.loads(data, parse_float=Decimal, parse_constant=lambda _: None).get("usage")
    except ValueError:  # a number of thousands of digits
        return {}
    return usage if isinstance(usage, dict) else {}


def _money(figure: object, *, most: Decimal = MOST_USD) -> Decimal | None:
    if isinstance(figure, bool) or not isinstance(figure, int | Decimal):
        return None
    amount = Decimal(figure)
    return amount if 0 <= amount < most else None


def _first(counts: Mapping[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(counts.get(name))) is not None), None)


def _part(details: object, name: str) -> int | None:
    return _count(details.get(name)) if type(details) is dict else None


def _count(figure: object) -> int | None:
    if type(figure) is not int and type(figure) is not float:
        return None
    return int(figure) if 0 <= figure < MOST_TOKENS else None


def _absurd(figure: object) -> bool:
    """A number, and none that counts tokens."""
    return type(figure) in (int, float) and _count(figure) is None
