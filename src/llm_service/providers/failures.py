"""From an upstream's error into our tree: by stable words first, then by status, by message text only where nothing
else tells. The tables are the rules; a provider adds its own."""

import re
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final

from llm_service.domain import (
    CallerError,
    ContentFiltered,
    ContextLengthExceeded,
    InvalidValue,
    LLMServiceError,
    ModelNotFound,
    RequestTooLarge,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamInvalidResponse,
    UpstreamNoBalance,
    UpstreamRateLimited,
    UpstreamTimeout,
    fact,
    fact_in_order,
)
from llm_service.providers.complaints import Complaint


@fact_in_order
class Verdict:
    """What an error is with us. ``text``: what the caller reads; ``None``: what the upstream says.

    Only faults of the caller may say what the upstream says: other texts of upstreams echo keys and name accounts.
    ``param``: the field of the request that the failure, whosever it is, hangs on.
    """

    error: type[LLMServiceError]
    text: str | None = None
    retryable: bool | None = None
    param: str | None = None


REFUSED: Final = Verdict(InvalidValue)
TOO_LONG: Final = Verdict(ContextLengthExceeded)
TOO_LARGE: Final = Verdict(RequestTooLarge)
FILTERED: Final = Verdict(ContentFiltered)
NO_MODEL: Final = Verdict(ModelNotFound)
NO_ADDRESS: Final = Verdict(
    UpstreamError, "The provider does not know the address: check base_url of this provider.", retryable=False
)
NO_AUTH: Final = Verdict(UpstreamAuthFailed, "The provider refused the gateway's credential: check its api_key.")
NO_MONEY: Final = Verdict(UpstreamNoBalance, "The gateway's account at the provider has no balance left.")
LIMITED: Final = Verdict(UpstreamRateLimited, "The provider limits the rate of requests.")
OVERLOADED: Final = Verdict(UpstreamError, "The provider is overloaded or not available now.")
FAILED: Final = Verdict(UpstreamError, "The provider failed to answer.")
BAD_CALL: Final = Verdict(UpstreamError, "The model made a tool call that does not fit the tool; ask again.")
TIMED_OUT: Final = Verdict(UpstreamTimeout, "The provider did not answer in time.")
REDIRECTED: Final = Verdict(
    UpstreamInvalidResponse, "The provider answered with a redirect, which is not followed.", retryable=False
)
NO_ANSWER: Final = Verdict(UpstreamInvalidResponse, "The provider's answer is none.")
UNEXPECTED: Final = Verdict(UpstreamError, "The provider refused the request for an unknown reason.", retryable=False)

EXACT_WORDS: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("context_length_exceeded", "exceed_context_size_error", "max_tokens_exceeded", "token_limit_exceeded"),
            TOO_LONG,
        ),
        **dict.fromkeys(
            ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "refusal"), FILTERED
        ),
        **dict.fromkeys(
            ("insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "payment_required"),
            NO_MONEY,
        ),
        "model_not_found": NO_MODEL,
        "payload_too_large": TOO_LARGE,
        "tool_use_failed": BAD_CALL,
        "service_tier_capacity_exceeded": LIMITED,
        "capacity_exceeded": OVERLOADED,
    }
)
"""Words that say more than the status beside them."""

WORDS: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        word: meant
        for words, meant in (
            ("authentication authentication_error AuthenticationError invalid_api_key UNAUTHENTICATED", NO_AUTH),
            ("permission_denied permission_error PermissionDeniedError PERMISSION_DENIED forbidden", NO_AUTH),
            ("request_forbidden unsupported_country_region_territory", NO_AUTH),
            ("billing_error", NO_MONEY),
            ("rate_limit_exceeded rate_limit_error RateLimitError RESOURCE_EXHAUSTED", LIMITED),
            ("rate_limited too_many_requests slow_down requests tokens", LIMITED),
            ("timeout timeout_error DEADLINE_EXCEEDED", TIMED_OUT),
            ("request_too_large", TOO_LARGE),
            ("invalid_request invalid_request_error INVALID_ARGUMENT BadRequestError", REFUSED),
            ("unprocessable UnprocessableEntityError FAILED_PRECONDITION", REFUSED),
            ("conflict provider_overloaded overloaded_error server_is_overloaded", OVERLOADED),
            ("service_unavailable_error unavailable_error UNAVAILABLE ABORTED", OVERLOADED),
        )
        for word in words.split()
    }
)
"""Words for errors that come without a status, inside an answer of status 200."""

STATUSES: Final[Mapping[int, Verdict]] = MappingProxyType(
    {
        400: REFUSED,
        401: NO_AUTH,
        402: NO_MONEY,
        403: NO_AUTH,
        408: TIMED_OUT,
        409: OVERLOADED,
        412: REFUSED,
        413: TOO_LARGE,
        422: REFUSED,
        425: OVERLOADED,
        429: LIMITED,
        498: OVERLOADED,
        503: OVERLOADED,
        504: TIMED_OUT,
        524: TIMED_OUT,
        529: OVERLOADED,
    }
)

TEXTS: Final[tuple[tuple[re.Pattern[str], Verdict], ...]] = (
    (
        re.compile(
            r"maximum context length|context (?:size|window)|context length|prompt is too long"
            r"|max_new_tokens must not exceed",
            re.IGNORECASE,
        ),
        TOO_LONG,
    ),
)
"""For statuses of the caller's faults only: vLLM, OpenRouter and Together have no word for it."""

TEXTS_ALONE: Final[tuple[tuple[re.Pattern[str], Verdict], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), meant)
    for pattern, meant in (
        (r"didn't provide an api key|(?:incorrect|invalid|missing|no) (?:api key|authentication|credential)", NO_AUTH),
        (r"\bauthentication (?:fails|failed)|^unauthorized\b", NO_AUTH),
        (r"\brate limit|too many requests", LIMITED),
        (r"\b(?:request|body|payload|entity)(?: is)? too large", TOO_LARGE),
        (r"^invalid url\b|^not found\.?$", NO_ADDRESS),
    )
)
"""For errors with neither a status nor a word that tells more than ``invalid_request_error``."""

_NOT_FOUND: Final = frozenset({"not_found", "not_found_error", "NotFoundError", "NOT_FOUND"})
_MODEL: Final = re.compile(r"\b(?:models?|endpoints?)\b", re.IGNORECASE)
_TEXT_STATUSES: Final = frozenset({400, 403, 413, 422})
FINISHES: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "insufficient_system_resource": Verdict(UpstreamError, "The provider ran out of resources half-way."),
        "abort": Verdict(UpstreamError, "The provider broke the answer off."),
    }
)


@fact
class Rules:
    """A provider's own rules, which go before the common ones."""

    words: Mapping[str, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    texts: tuple[tuple[re.Pattern[str], Verdict], ...] = ()


PLAIN: Final = Rules()


def verdict(complaint: Complaint, rules: Rules = PLAIN) -> Verdict:
    """What the error is with us."""
    status = complaint.status
    for words in (rules.words, EXACT_WORDS):
        found = next((words[word] for word in complaint.words if word in words), None)
        if found is not None:
            return found
    if status in _TEXT_STATUSES or not status:
        for pattern, meant in (*rules.texts, *TEXTS):
            if pattern.search(complaint.message):
                return meant
    if status == 404 or (not status and not _NOT_FOUND.isdisjoint(complaint.words)):
        return NO_MODEL if _MODEL.search(complaint.message) else NO_ADDRESS
    return STATUSES.get(status) or _by_class(complaint)


def _by_class(complaint: Complaint) -> Verdict:
    if not complaint.status:
        return _without_status(complaint)
    if complaint.status >= 500:
        return FAILED
    if complaint.status >= 400:
        return UNEXPECTED
    return REDIRECTED if complaint.status >= 300 else NO_ANSWER


def _without_status(complaint: Complaint) -> Verdict:
    """An error inside an answer of status 200 that names no status: what it would be with the one it goes with."""
    meant = [WORDS[word] for word in complaint.words if word in WORDS]
    exact = next((one for one in meant if one is not REFUSED), None)  # many have this one word for almost everything
    if exact is not None:
        return exact
    told = (one for pattern, one in TEXTS_ALONE if pattern.search(complaint.message))
    return next(told, REFUSED if meant else FAILED)


def error_of(complaint: Complaint, meant: Verdict, *, retry_after_s: float | None = None) -> LLMServiceError:
    """The error itself. Waiting is advised only where trying again is of use."""
    status = f" (status {complaint.status})" if complaint.status else ""
    text = meant.text
    if text is not None:
        text = f"{text.removesuffix('.')}{status}."
    elif issubclass(meant.error, CallerError):
        text = complaint.message
    error = meant.error(
        text or f"The provider refused the request{status}.",
        param=complaint.param if issubclass(meant.error, CallerError) else meant.param,
        retryable=meant.retryable,
    )
    error.retry_after_s = retry_after_s
    if isinstance(error, UpstreamError):
        error.status = complaint.status or None
    return error


def failed_finish(word: str) -> LLMServiceError:
    """The error of a finish reason that says that the answer is broken."""
    return error_of(Complaint(status=0), FINISHES.get(word, FAILED))
