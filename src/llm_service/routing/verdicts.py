"""What the failure of an attempt means for routing: whether to try again, where, and whose fault it was.

Before the first content only: after it nothing is tried again (decision 21).
"""

from typing import Final, Literal

from llm_service.domain import (
    ContentFiltered,
    ContextLengthExceeded,
    LLMServiceError,
    ModelNotFound,
    NoDeploymentAvailable,
    Overloaded,
    ProviderDisabled,
    StreamInterrupted,
    UpstreamError,
    UpstreamInvalidResponse,
    UpstreamNoBalance,
    UpstreamRateLimited,
    UpstreamTimeout,
)

Cause = Literal["failure", "context", "content"]

_PASSING: Final = frozenset((408, 429))
"""Statuses below 500 that are gone when one asks again."""
_CREDENTIAL_REFUSED: Final = 401
_ELSEWHERE: Final = (ModelNotFound, NoDeploymentAvailable, Overloaded, ProviderDisabled)
_SICK: Final = (UpstreamTimeout, UpstreamRateLimited, UpstreamNoBalance, UpstreamInvalidResponse, StreamInterrupted)


def may_retry(error: LLMServiceError) -> bool:
    """Whether the same deployment may be asked again: lost connections, 408, 429, 5xx; no other 4xx.

    Not after a time-out of ours: its time is over, and twice as long would be waited for. An answer that was given and
    cannot be read is not asked for twice: it was billed, and the next one will be like it.
    """
    if not isinstance(error, UpstreamError) or not error.retryable:
        return False
    if isinstance(error, UpstreamInvalidResponse | StreamInterrupted):
        return False
    if isinstance(error, UpstreamTimeout) and error.status is None:
        return False
    return error.status is None or error.status in _PASSING or error.status >= 500


def may_fall_back(error: LLMServiceError) -> Cause | None:
    """Whether others may be asked: those for failures, for prompts that are too long, or for refused contents.

    ``None``: no other would answer it better (the caller's faults, our own refusals), the time is over, or content has
    been sent. Only an error that names a provider tells of one that lacks the model, is full, or is off.
    """
    if isinstance(error, UpstreamError):
        return None if isinstance(error, StreamInterrupted) else "failure"
    if isinstance(error, ContextLengthExceeded):
        return "context"
    if error.provider is None:
        return None
    if isinstance(error, ContentFiltered):
        return "content"
    return "failure" if isinstance(error, _ELSEWHERE) else None


def is_deployments_fault(error: LLMServiceError) -> bool:
    """Whether the failure speaks against the deployment, so that its breaker counts it.

    What hangs on the request does not, or a caller could shut a deployment for all others: the caller's faults, a field
    that the balance does not pay for, statuses of 4xx that may mean the prompt. A refused credential, no balance and a
    rate limit do: while they last every request is lost there.
    """
    if not isinstance(error, UpstreamError) or error.param is not None:
        return False
    if isinstance(error, _SICK):
        return True
    return error.status is None or error.status == _CREDENTIAL_REFUSED or not 400 <= error.status < 500
