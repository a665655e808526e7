"""Several credentials of one provider: whose turn it is, and who rests."""

import pytest

from llm_service.domain import Secret, UpstreamAuthFailed, UpstreamError, UpstreamNoBalance, UpstreamRateLimited
from llm_service.providers.credentials import Credential, Credentials
from tests.support.clock import ManualClock


def pool(clock: ManualClock, *names: str) -> Credentials:
    return Credentials([Credential(Secret(name), {"authorization": name}) for name in names], clock)


def taken(credentials: Credentials, count: int) -> str:
    return " ".join(credentials.take().headers["authorization"] for _ in range(count))


def test_they_take_turns() -> None:
    assert taken(pool(ManualClock(), "a", "b", "c"), 5) == "a b c a b"


@pytest.mark.parametrize(
    ("error", "rests_s"),
    [
        (UpstreamRateLimited("slow", retry_after_s=7), 7.0),
        (UpstreamRateLimited("slow", retry_after_s=3600), 60.0),
        (UpstreamRateLimited("slow"), 1.0),
        (UpstreamAuthFailed("no"), 60.0),
        (UpstreamNoBalance("no"), 60.0),
    ],
)
def test_one_that_is_limited_or_refused_rests(error: UpstreamError, rests_s: float) -> None:
    clock = ManualClock()
    credentials = pool(clock, "a", "b")
    assert credentials.refused(credentials.take(), error)
    assert taken(credentials, 3) == "b b b"
    clock.advance(rests_s - 0.01)
    assert taken(credentials, 2) == "b b"
    clock.advance(0.02)
    assert sorted(taken(credentials, 2).split()) == ["a", "b"]


def test_where_all_rest_the_one_that_is_up_soonest_is_taken_and_nothing_else_can_be() -> None:
    clock = ManualClock()
    credentials = pool(clock, "a", "b")
    first, second = credentials.take(), credentials.take()
    assert credentials.refused(first, UpstreamRateLimited("slow", retry_after_s=9))
    assert not credentials.refused(second, UpstreamRateLimited("slow", retry_after_s=5))
    assert taken(credentials, 2) == "b b"


def test_what_is_not_about_the_credential_lets_nobody_rest() -> None:
    credentials = pool(ManualClock(), "a", "b")
    assert not credentials.refused(credentials.take(), UpstreamError("down"))
    assert not credentials.refused(credentials.take(), UpstreamNoBalance("too dear", param="max_tokens"))
    assert taken(credentials, 2) == "a b"


def test_a_single_one_never_rests() -> None:
    credentials = pool(ManualClock(), "a")
    assert not credentials.refused(credentials.take(), UpstreamAuthFailed("no"))
    assert taken(credentials, 2) == "a a"
