"""Each error of the tree, and each status of an upstream: whether to ask again, whom, and whose fault it was."""

import pytest

from llm_service import domain
from llm_service.domain import LLMServiceError, UpstreamError, UpstreamNoBalance, UpstreamTimeout
from llm_service.providers.live import upstream_failure
from llm_service.routing import is_deployments_fault, may_fall_back, may_retry
from llm_service.transport import TransportError
from llm_service.transport.base import FailureKind
from tests.unit.api.error_tree import classes, error_of

OF_A_PROVIDER = """
ContextLengthExceeded   -     context  -
ContentFiltered         -     content  -
ModelNotFound           -     failure  -
Overloaded              -     failure  -
ProviderDisabled        -     failure  -
NoDeploymentAvailable   -     failure  -
UpstreamError           retry failure  fault
UpstreamAuthFailed      -     failure  fault
UpstreamNoBalance       -     failure  fault
UpstreamRateLimited     retry failure  fault
UpstreamInvalidResponse -     failure  fault
UpstreamTimeout         -     failure  fault
StreamInterrupted       -     -        fault
"""
"""Of those that are not named here no provider makes one, or nobody would answer better."""
ROWS = {name: tuple(rest) for name, *rest in map(str.split, OF_A_PROVIDER.strip().splitlines())}


def verdicts(error: LLMServiceError) -> tuple[str, str, str]:
    return (
        "retry" if may_retry(error) else "-",
        may_fall_back(error) or "-",
        "fault" if is_deployments_fault(error) else "-",
    )


@pytest.mark.parametrize("kind", [*classes()])
def test_the_class_decides_where_no_status_is_known(kind: type[LLMServiceError]) -> None:
    error = error_of(kind)
    error.provider = "p"
    assert verdicts(error) == ROWS.get(kind.__name__, ("-", "-", "-"))


@pytest.mark.parametrize("kind", [*classes(domain.CallerError), *classes(domain.GatewayError)])
def test_of_our_own_refusals_only_the_length_of_the_prompt_goes_elsewhere(kind: type[LLMServiceError]) -> None:
    error = error_of(kind)
    error.provider = None
    expected = "context" if kind is domain.ContextLengthExceeded else "-"
    assert verdicts(error) == ("-", expected, "-")


def test_of_4xx_only_408_and_429_are_asked_again_whatever_is_told_to_the_caller() -> None:
    for status in range(300, 600):
        error = UpstreamError("no", retryable=True)
        error.status = status
        assert may_retry(error) == (status in (408, 429) or status >= 500), status
        assert may_fall_back(error) == "failure"
        assert is_deployments_fault(error) == (not 400 <= status < 500 or status == 401), status


def test_what_the_provider_will_answer_in_the_same_way_is_not_asked_again() -> None:
    assert verdicts(UpstreamError("TLS failed", retryable=False)) == ("-", "failure", "fault")


def test_a_time_out_of_a_4xx_counts_as_one() -> None:
    error = UpstreamTimeout("late")
    error.status = 408
    assert verdicts(error) == ("retry", "failure", "fault")


def test_a_balance_that_does_not_pay_for_so_many_tokens_speaks_of_the_request() -> None:
    assert verdicts(UpstreamNoBalance("would do", param="max_tokens")) == ("-", "failure", "-")


BELOW_HTTP: dict[FailureKind, tuple[str, str, str]] = {
    "connect": ("retry", "failure", "fault"),
    "connect_timeout": ("-", "failure", "fault"),
    "tls": ("-", "failure", "fault"),
    "disconnected": ("retry", "failure", "fault"),
    "protocol": ("-", "failure", "fault"),
    "too_large": ("-", "failure", "fault"),
    "pool": ("retry", "failure", "fault"),
}


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("kind", BELOW_HTTP)
def test_what_fails_below_http_says_whether_the_provider_may_already_work(kind: FailureKind, sent: bool) -> None:
    error = upstream_failure(TransportError(kind, "broken", sent=sent))
    assert (verdicts(error), error.sent, error.status) == (BELOW_HTTP[kind], sent, None)
