"""How many retries there are, and what of."""

from llm_service.routing import RetryBudget


def granted(budget: RetryBudget, now: float, *, asked: int = 1000) -> int:
    return sum(budget.spend(now) for _ in range(asked))


def called(budget: RetryBudget, now: float, times: int) -> None:
    for _ in range(times):
        budget.called(now)


def test_a_share_of_the_requests_may_be_tried_again() -> None:
    budget = RetryBudget(ratio=0.2, least=10, workers=lambda: 1)
    called(budget, 100.0, 500)
    assert granted(budget, 105.0) == 100


def test_the_least_is_there_without_any_request() -> None:
    budget = RetryBudget(ratio=0.2, least=10, workers=lambda: 1)
    called(budget, 100.0, 5)
    assert granted(budget, 100.0) == 10
    assert granted(budget, 105.0) == 0
    assert granted(budget, 111.0) == 10


def test_what_was_spent_does_not_earn_more() -> None:
    budget = RetryBudget(ratio=0.5, least=0, workers=lambda: 1)
    called(budget, 100.0, 100)
    assert granted(budget, 101.0) == 50
    assert granted(budget, 102.0) == 0


def test_requests_earn_retries_for_10_seconds() -> None:
    budget = RetryBudget(ratio=0.2, least=0, workers=lambda: 1)
    called(budget, 100.0, 100)
    assert budget.spend(109.9)
    assert not budget.spend(110.0)


def test_the_least_is_divided_among_the_processes_that_live() -> None:
    living = [1]
    budget = RetryBudget(ratio=0.0, least=10, workers=lambda: living[0])
    assert granted(budget, 100.0) == 10
    living[0] = 4
    assert granted(budget, 200.0) == 2
    living[0] = 100
    assert granted(budget, 300.0) == 1
    living[0] = 0
    assert granted(budget, 400.0) == 10


def test_other_settings_hold_at_once() -> None:
    budget = RetryBudget(ratio=0.2, least=10, workers=lambda: 1)
    budget.configure(ratio=0.0, least=1)
    assert granted(budget, 100.0) == 1
