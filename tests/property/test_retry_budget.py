"""No schedule of requests gets more retries than promised, and none that is allowed for sure is refused."""

from hypothesis import given
from hypothesis import strategies as st

from llm_service.routing import RetryBudget

WINDOW_S = 10.0
LONGEST_S = 11.0
"""For so long a retry may count at most."""
SHORTEST_S = 9.0
"""For so long a request earns retries at least."""

schedules = st.lists(
    st.tuples(st.sampled_from((0.0, 0.01, 0.3, 0.5, 0.999, 1.0, 2.5, 9.0, 9.5, 10.0, 11.0)), st.booleans()),
    max_size=200,
)


def within(moments: list[float], now: float, seconds: float) -> int:
    """How many are not older than so many seconds."""
    return sum(now - moment <= seconds for moment in moments)


@given(
    start=st.floats(0, 100),
    ratio=st.sampled_from((0.0, 0.1, 0.2, 0.5, 1.0)),
    least=st.integers(0, 6),
    workers=st.integers(1, 4),
    schedule=schedules,
)
def test_no_10_seconds_hold_more_than_the_share_or_the_least(
    start: float, ratio: float, least: int, workers: int, schedule: list[tuple[float, bool]]
) -> None:
    budget = RetryBudget(ratio=ratio, least=least, workers=lambda: workers)
    share = min(least, max(1, least // workers))
    now, firsts, granted = start, list[float](), list[float]()
    for wait_s, retries in schedule:
        now += wait_s
        if not retries:
            budget.called(now)
            firsts.append(now)
            continue
        surely_allowed = max(share, ratio * within(firsts, now, SHORTEST_S - 1e-6))
        allowed = budget.spend(now)
        if within(granted, now, LONGEST_S) + 1 <= surely_allowed:
            assert allowed
        if allowed:
            granted.append(now)
            assert within(granted, now, WINDOW_S) <= max(share, ratio * within(firsts, now, WINDOW_S))


@given(workers=st.integers(1, 40), least=st.integers(0, 40), moments=st.lists(st.floats(0, 9.9), max_size=30))
def test_all_processes_together_have_the_least(workers: int, least: int, moments: list[float]) -> None:
    budgets = [RetryBudget(ratio=0.2, least=least, workers=lambda: workers) for _ in range(workers)]
    granted = sum(budget.spend(now) for now in sorted([*moments, *[9.9] * 50]) for budget in budgets)
    assert granted <= max(least, workers if least else 0)
    assert granted >= min(least, workers * max(1, least // workers))
    assert granted or not least
