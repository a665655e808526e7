"""What OpenRouter says of money: the prices of its catalogue, and the record of a generation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import time
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain import Price, PriceTerm, UpstreamInvalidResponse
from llm_service.providers.base import GenerationRecord
from llm_service.providers.metering import MOST_TOKENS, MOST_USD

# Our name of a figure: theirs, in USD per token.
_FIGURES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "input_usd": ("prompt",),
        "output_usd": ("completion",),
        "cached_input_usd": ("input_cache_read",),
        "cache_write_usd": ("input_cache_write", "input_cache_write_1h"),
    }
)


def prices_of(told: object) -> tuple[Price | None, tuple[PriceTerm, ...]]:
    """The price of a model, and those that hold in its place at some hours.

    ``overrides`` are told for prompts from a length on, for hours of the day, or both; later ones win.
    """
    if not isinstance(told, Mapping):
        return None, ()
    price = Price(**_figures(told), request_usd=_amount(told.get("request")) or None)
    if price == Price():
        return None, ()
    overrides = told.get("overrides")
    entries = [one for one in overrides if isinstance(one, Mapping)] if isinstance(overrides, list) else []
    plain = [one for one in entries if not _timed(one)]
    terms = []
    for timed in filter(_timed, entries):
        hours = None if timed.get("utc_days") else _hours(timed)
        meant = timed if hours else _raised(told, timed)
        holding = [meant if one is timed else one for one in entries if one is timed or not _timed(one)]
        terms.append(PriceTerm(price=_with_lengths(price, holding), hours=hours))
    return _with_lengths(price, plain), tuple(terms)


def _with_lengths(price: Price, overrides: Sequence[Mapping[str, Any]]) -> Price:
    """A price for each length of prompt that an override begins at."""
    lengths = {_length(one) for one in overrides} - {0}
    return replace(
        _overridden(price, overrides, 0),
        above=tuple((length - 1, _overridden(price, overrides, length)) for length in sorted(lengths)),
    )


def _overridden(price: Price, overrides: Sequence[Mapping[str, Any]], input_tokens: int) -> Price:
    for one in overrides:
        if _length(one) <= input_tokens:
            price = replace(price, **_figures(one))
    return price


def _raised(told: Mapping[str, Any], override: Mapping[str, Any]) -> Mapping[str, Any]:
    """An override of which we cannot tell when it holds: always, as far as it makes things dearer."""
    dearer = {name for names in _FIGURES.values() for name in names if _more(override.get(name), told.get(name))}
    return {name: value for name, value in override.items() if name in dearer or name == "min_prompt_tokens"}


def _more(figure: object, than: object) -> bool:
    amount = _amount(figure)
    return amount is not None and amount > (_amount(than) or 0)


def _timed(override: Mapping[str, Any]) -> bool:
    return "utc_start" in override or "utc_end" in override or "utc_days" in override


def _length(override: Mapping[str, Any]) -> int:
    length = override.get("min_prompt_tokens")
    return length if type(length) is int and length > 0 else 0


def _hours(override: Mapping[str, Any]) -> tuple[time, time] | None:
    start, end = (str(override.get(name)) for name in ("utc_start", "utc_end"))
    try:
        return _time(start), _time(end)
    except ValueError:
        return None


def _time(told: str) -> time:
    """A moment as ``HHMM``; the end of the day may be told as 2400."""
    hour, minute = int(told[:-2] or 0), int(told[-2:])
    return time(hour % 24, minute)


def _figures(told: Mapping[str, Any]) -> dict[str, Any]:
    """Strings in USD per token, as our USD per million; ``-1`` stands for a price that routing decides."""
    found: dict[str, Any] = {}
    for name, theirs in _FIGURES.items():
        amounts = [amount for one in theirs if (amount := _amount(told.get(one))) is not None]
        if amounts:
            found[name] = max(amounts) * 1_000_000
    return found


def _amount(told: object) -> Decimal | None:
    try:
        usd = Decimal(str(told))
    except ArithmeticError:
        return None
    return usd if usd.is_finite() and 0 <= usd < MOST_USD else None


def generation_of(raw: bytes) -> GenerationRecord:
    """The record from ``GET /generation``. Raises UpstreamInvalidResponse.

    As in an answer's usage, with the operator's own key at the model's maker (BYOK) the cost is OpenRouter's fee alone
    and what the maker bills is added. The normalised ``tokens_*`` are not what is billed, and not read.
    """
    try:
        told = json.loads(raw, parse_float=Decimal, parse_constant=lambda _: None)["data"]
        cost = _amount(told["total_cost"])
        own_key = told.get("is_byok") is True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UpstreamInvalidResponse("The provider's answer is no record of a generation.") from None
    if cost is None:
        raise UpstreamInvalidResponse("The provider's record of a generation has no cost.")
    if own_key:
        cost += _amount(told.get("upstream_inference_cost")) or 0
    prompt, completion, cached, reasoning = (
        _tokens(told.get(f"native_tokens_{name}")) for name in ("prompt", "completion", "cached", "reasoning")
    )
    return GenerationRecord(
        cost_usd=cost,
        input_tokens=prompt,
        output_tokens=completion,
        cached_input_tokens=_part(cached, prompt),
        reasoning_tokens=_part(reasoning, completion),
    )


def _tokens(told: object) -> int | None:
    return told if type(told) is int and 0 <= told < MOST_TOKENS else None


def _part(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None else min(part, whole)
