"""OpenRouter's errors: availability, moderation, credits, the free tier's days, errors of the providers behind it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from llm_service.domain import InvalidValue, ModelNotFound, UpstreamError, UpstreamNoBalance, UpstreamRateLimited
from llm_service.providers.complaints import Complaint, inner_message
from llm_service.providers.failures import FILTERED, LIMITED, NO_MODEL, OVERLOADED, REFUSED, Rules, Verdict

AVAILABILITY: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "model_not_found": NO_MODEL,
        "wrong_endpoint": Verdict(InvalidValue),
        "no_endpoints": NO_MODEL,
        "model_deprecated": NO_MODEL,
        "model_unavailable_upstream": Verdict(UpstreamError, "No provider behind OpenRouter serves the model now."),
        "privacy_restricted": Verdict(ModelNotFound),
        "constraint_filtered": Verdict(InvalidValue),
        "free_variant_ended": NO_MODEL,
        "region_restricted": Verdict(ModelNotFound),
        "capacity_exhausted": LIMITED,
        "temporarily_unavailable": OVERLOADED,
    }
)
"""Since August 2026 OpenRouter says why nothing was left to serve a request, and whether trying again is of use."""

DAILY: Final = Verdict(UpstreamRateLimited, "OpenRouter's daily limit for free models is used up.", retryable=False)
KEY_SPENT: Final = Verdict(UpstreamNoBalance, "The gateway's key at OpenRouter has reached its spending limit.")
RULES: Final = Rules(
    words=MappingProxyType({"image_not_found": REFUSED}),
    texts=((re.compile(r"is not a valid model ID"), NO_MODEL),),
)
_AFFORDABLE: Final = re.compile(r"can only afford (\d{1,9})")
_PASSED_ON: Final = frozenset({400, 403, 413, 422})


def openrouter_verdict(told: Complaint) -> Verdict | None:
    """What only OpenRouter's own words tell; ``None`` where the common rules do."""
    availability = told.part("availability")
    meant = AVAILABILITY.get(str(availability.get("code")))
    if meant is not None:
        retryable = availability.get("retryable")
        return replace(meant, retryable=retryable) if isinstance(retryable, bool) else meant
    if told.status == 402:
        return _no_money(told)
    if told.status == 403:
        return _forbidden(told)
    source = told.part("metadata").get("limit_source")
    if source == "openrouter_free_tier_daily" or (told.status == 429 and "free-models-per-day" in told.message):
        return DAILY
    return None


def with_inner_message(told: Complaint) -> Complaint:
    """The message of the provider behind, where the outer one only says that there was one; for the caller's faults."""
    metadata = told.part("metadata")
    if told.status not in _PASSED_ON or told.message != "Provider returned error" or not metadata.get("raw"):
        return told
    inner = inner_message(metadata["raw"])
    return replace(told, message=f"{metadata.get('provider_name') or 'The provider'}: {inner}") if inner else told


def _no_money(told: Complaint) -> Verdict | None:
    """One 402 is curable: what is left pays for fewer output tokens."""
    found = _AFFORDABLE.search(told.message)
    if found is None:
        return None
    return Verdict(
        UpstreamNoBalance,
        f"The gateway's balance at OpenRouter does not pay for this request; max_tokens of {found[1]} would do.",
        param="max_tokens",
    )


def _forbidden(told: Complaint) -> Verdict | None:
    metadata = told.part("metadata")
    if "reasons" in metadata or "flagged_input" in metadata or "patterns" in metadata:
        return FILTERED
    return KEY_SPENT if told.message.startswith("Key limit exceeded") else None
