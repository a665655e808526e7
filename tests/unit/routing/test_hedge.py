"""Second attempts: when one begins, and that no minute has more of them than its share of requests and money."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.routing import HedgeOptions, Hedging

NOW = 1000.0


class Took:
    """A deployment's times."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = sorted(seconds)

    def quantile(self, q: float, now: float) -> float | None:
        assert now == NOW
        return self._seconds[int(q * len(self._seconds))] if self._seconds else None


def hedging(**options: float) -> Hedging:
    return Hedging(HedgeOptions(enabled=True, **options))  # type: ignore[arg-type]


def asked(policy: Hedging, count: int, at: float = NOW) -> Hedging:
    for _ in range(count):
        policy.asked(at)
    return policy


def begun(policy: Hedging, tries: int, at: float = NOW, may_cost: int | None = None) -> int:
    return sum(policy.begin(at, may_cost=may_cost) for _ in range(tries))


def test_an_attempt_is_late_when_it_takes_longer_than_most_did() -> None:
    times = Took(*(number / 100 for number in range(100)))
    assert hedging(quantile=0.95).delay_s(times, NOW) == 0.95


def test_a_second_attempt_has_a_least_delay() -> None:
    assert hedging(min_delay_s=0.2).delay_s(Took(0.001, 0.002), NOW) == 0.2


def test_without_times_nobody_knows_what_late_is() -> None:
    assert hedging().delay_s(Took(), NOW) is None


def test_switched_off_there_is_none() -> None:
    off = Hedging(HedgeOptions())
    asked(off, 1000)
    assert off.delay_s(Took(1.0), NOW) is None
    assert not off.begin(NOW)


def test_second_attempts_are_a_share_of_the_requests_of_the_last_minute() -> None:
    policy = asked(hedging(max_requests=0.05), 200)
    assert begun(policy, 50) == 10
    assert begun(policy, 50, at=NOW + 59) == 0
    assert begun(asked(policy, 200, at=NOW + 61), 50, at=NOW + 61) == 10


def test_of_few_requests_one_may_be_late() -> None:
    assert begun(asked(hedging(), 1), 5) == 1


@pytest.mark.parametrize("share", ["max_requests", "max_cost"])
def test_a_share_of_nothing_allows_nothing(share: str) -> None:
    policy = asked(hedging(**{share: 0}), 1000)
    policy.cost(10**12, NOW)
    assert begun(policy, 5, may_cost=1) == 0


def test_attempts_that_lose_are_a_share_of_the_money() -> None:
    policy = asked(hedging(max_requests=1, max_cost=0.1), 100)
    policy.cost(1_000, NOW)
    assert begun(policy, 50, may_cost=20) == 5
    for _ in range(5):
        policy.lost(10, NOW, may_cost=20)
    assert begun(policy, 50, may_cost=20) == 2


def test_what_a_loser_cost_counts_as_expected_where_nobody_knows() -> None:
    policy = asked(hedging(max_requests=1, max_cost=0.1), 100)
    policy.cost(1_000, NOW)
    assert policy.begin(NOW, may_cost=60)
    policy.lost(None, NOW, may_cost=60)
    assert begun(policy, 50, may_cost=20) == 2


def test_where_no_price_is_known_requests_alone_count() -> None:
    assert begun(asked(hedging(max_requests=0.5), 100), 100) == 50


def test_second_attempts_and_losses_count_for_a_minute_at_least() -> None:
    policy = asked(hedging(), 1, at=NOW + 0.9)
    assert policy.begin(NOW + 0.9, may_cost=5)
    assert begun(policy, 2, at=NOW + 60.8) == 0
    policy.lost(5, NOW + 61.9, may_cost=5)
    assert begun(policy, 2, at=NOW + 62.0) == 1
    policy = asked(hedging(max_requests=1), 100, at=NOW + 121.8)
    policy.lost(5, NOW + 61.9)
    assert begun(policy, 2, at=NOW + 121.8, may_cost=5) == 0
    assert begun(policy, 2, at=NOW + 122.0, may_cost=5) == 1


def test_requests_and_their_cost_count_for_a_minute_at_most() -> None:
    policy = asked(hedging(max_requests=0.5), 10, at=NOW + 0.1)
    assert begun(policy, 9, at=NOW + 60.2) == 1
    policy = asked(hedging(max_requests=1, max_cost=0.5), 10, at=NOW + 60.2)
    policy.cost(1000, NOW + 0.1)
    policy.lost(5, NOW + 60.2)
    assert begun(policy, 9, at=NOW + 60.2, may_cost=5) == 0


steps = st.lists(
    st.tuples(
        st.sampled_from(("asked", "asked", "begin", "begin", "lost", "cost")),
        st.integers(0, 1000),
        st.sampled_from((0.0, 0.0, 0.1, 0.9, 7.3, 29.8, 59.6, 60.0, 61.5, 1000.0)),
    ),
    max_size=120,
)
Moments = list[tuple[float, int]]


@given(steps, st.sampled_from((0.05, 0.3, 1.0)), st.sampled_from((0.05, 0.5)))
def test_no_second_attempt_begins_beyond_its_shares_of_the_last_minute(
    steps: Sequence[tuple[str, int, float]], requests_share: float, cost_share: float
) -> None:
    policy = hedging(max_requests=requests_share, max_cost=cost_share)
    now, running = NOW, list[int]()
    requests, hedges, lost, cost = Moments(), Moments(), Moments(), Moments()
    for word, amount, passes_s in steps:
        now += passes_s
        if word == "asked":
            policy.asked(now)
            requests.append((now, 1))
        elif word == "cost":
            policy.cost(amount, now)
            cost.append((now, amount))
        elif word == "lost" and running:
            may_cost = running.pop()
            policy.lost(min(amount, may_cost), now, may_cost=may_cost)
            lost.append((now, min(amount, may_cost)))
        elif word == "begin" and policy.begin(now, may_cost=amount):
            before = last_minute(lost, now) + sum(running)
            hedges.append((now, 1))
            running.append(amount)
            assert last_minute(hedges, now) <= max(1, requests_share * last_minute(requests, now))
            assert before == 0 or before + amount <= cost_share * last_minute(cost, now)


def last_minute(moments: Moments, now: float) -> int:
    return sum(amount for at, amount in moments if at > now - 60)


@given(st.lists(st.floats(0, 90), min_size=1, max_size=60), st.integers(1, 40))
def test_what_is_allowed_is_not_much_less_than_the_share(pauses: Sequence[float], late: int) -> None:
    """Buckets forget requests up to a second early, and attempts up to a second late; beyond that nothing is lost."""
    policy, now = hedging(max_requests=0.5), NOW
    requests, hedges = Moments(), Moments()
    for pause_s in pauses:
        now += pause_s
        asked(policy, 10, at=now)
        requests.append((now, 10))
        for _ in range(late):
            had = sum(count for at, count in hedges if at > now - 62)
            due = had + 1 <= 0.5 * sum(count for at, count in requests if at > now - 58)
            allowed = policy.begin(now)
            hedges.extend([(now, 1)] * allowed)
            assert allowed or not due
