"""What routing would do is asked without doing it."""

import random

from llm_service.domain import chat_request
from llm_service.routing import Bulkhead, Group, Places, Ranking, RetryBudget, Route, Strategy
from tests.support.clock import ManualClock
from tests.support.routes import a_fleet, way

REQUEST = chat_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})


def ranking_of(clock: ManualClock) -> Ranking:
    return Ranking(
        known=lambda provider, model: None,
        price=lambda candidate: None,
        is_on=lambda provider: True,
        clock=clock,
        dice=random.Random(7),
    )


def test_the_order_that_is_foreseen_is_the_next_one() -> None:
    clock = ManualClock()
    ranking = ranking_of(clock)
    strategies: tuple[Strategy, ...] = ("weighted", "latency", "least_busy", "cost", "priority")
    for strategy in strategies:
        group = Group("m", [way(name) for name in "abcde"], strategy=strategy)
        route = Route([group], a_fleet(clock).member)
        for _ in range(20):
            foreseen = [list(ranking.foreseen(route, REQUEST)) for _ in range(3)]
            assert foreseen == [list(ranking.order(route, REQUEST))] * 3


def test_what_is_left_of_a_budget_is_what_it_grants() -> None:
    budget = RetryBudget(ratio=0.2, least=3, workers=lambda: 1)
    for _ in range(23):
        budget.called(5.0)
    for left in (4, 3, 2, 1):
        assert [budget.left(5.0), budget.left(5.0)] == [left, left]
        assert budget.spend(5.0)
    assert budget.left(5.0) == 0
    assert not budget.spend(5.0)


def test_a_bulkhead_is_full_where_neither_a_place_nor_room_to_wait_is_left() -> None:
    def bulkhead(**places: int) -> Bulkhead:
        return Bulkhead("p", Places(max_concurrency=1, **places), clock=ManualClock(), dice=random.Random(1))

    patient, impatient = bulkhead(max_waiting=1), bulkhead(max_waiting=0)
    assert not impatient.is_full
    assert patient.try_enter()
    assert impatient.try_enter()
    assert (patient.is_full, impatient.is_full) == (False, True)
