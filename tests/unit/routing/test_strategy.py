"""Who is tried first, by each strategy."""

import random
from typing import get_args

import pytest

from llm_service.domain import Candidate
from llm_service.routing import DeploymentOptions, Strategy, Way, order, score, way_of
from tests.support.ways import Falls, Stand, evenly, way, ways_of

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def ordered(strategy: Strategy, ways: list[Way], stands: list[Stand] | None = None, seed: int = 0) -> list[int]:
    return order(strategy, ways, stands or [Stand() for _ in ways], now=0.0, dice=random.Random(seed))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_single_way_is_tried_without_a_draw(strategy: Strategy) -> None:
    assert order(strategy, [way()], [Stand()], now=0.0, dice=Falls(())) == [0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_way_is_no_order(strategy: Strategy) -> None:
    assert ordered(strategy, []) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_ways_take_one_draw_at_most(strategy: Strategy) -> None:
    assert sorted(order(strategy, ways_of([1, 1]), [Stand(), Stand()], now=0.0, dice=Falls([0.5]))) == [0, 1]


def test_priority_keeps_the_order_of_the_list_among_equals() -> None:
    assert ordered("priority", ways_of([1, 9, 1, 1], [5, 0, 5, 0])) == [1, 3, 0, 2]


def test_weights_are_the_shares_of_the_first_places() -> None:
    firsts = [order("weighted", ways_of([3, 1]), [Stand(), Stand()], now=0.0, dice=Falls([x]))[0] for x in evenly(400)]
    assert (firsts.count(0), firsts.count(1)) == (300, 100)


def test_the_lower_score_of_two_wins() -> None:
    stands = [Stand(in_flight=9, latency_s=0.1), Stand(in_flight=1, latency_s=0.4)]
    assert {tuple(ordered("latency", ways_of([1, 1]), stands, seed)) for seed in range(20)} == {(1, 0)}


def test_equal_scores_are_served_alike() -> None:
    stands = [Stand(latency_s=0.1), Stand(latency_s=0.1)]
    firsts = [ordered("latency", ways_of([1, 1]), stands, seed)[0] for seed in range(400)]
    assert 150 < firsts.count(0) < 250


def test_of_two_choices_the_slowest_is_never_the_first_and_the_fastest_not_always() -> None:
    ways, stands = ways_of([1, 1, 1]), [Stand(latency_s=latency_s) for latency_s in (0.1, 0.2, 0.3)]
    firsts = [order("latency", ways, stands, now=0.0, dice=Falls([x]))[0] for x in evenly(600)]
    assert [firsts.count(place) for place in range(3)] == [400, 200, 0]


def test_after_the_first_of_two_choices_the_rest_is_sorted_by_score() -> None:
    ways, stands = ways_of([1] * 4), [Stand(latency_s=latency_s) for latency_s in (0.4, 0.1, 0.3, 0.2)]
    for x in evenly(12):
        _, *rest = order("latency", ways, stands, now=0.0, dice=Falls([x]))
        assert rest == [place for place in (1, 3, 2, 0) if place in rest]


def test_an_unknown_way_is_tried_by_one_request_at_a_time() -> None:
    ways, stands = ways_of([1, 1, 1]), [Stand(latency_s=0.1), Stand(latency_s=0.1), Stand()]
    for seed in range(200):
        stands[ordered("latency", ways, stands, seed)[0]].in_flight += 1
    assert stands[2].in_flight == 1


def test_ways_of_which_nothing_is_known_share_by_their_requests() -> None:
    ways, stands = ways_of([1, 1]), [Stand(), Stand()]
    for seed in range(100):
        stands[ordered("latency", ways, stands, seed)[0]].in_flight += 1
    assert [stand.in_flight for stand in stands] == [50, 50]


def test_the_score_counts_the_requests_that_are_there_and_the_new_one() -> None:
    assert score(Stand(in_flight=2, latency_s=0.5), 0.0) == 1.5


def test_the_least_busy_is_the_one_with_the_fewest_requests_for_its_weight() -> None:
    stands = [Stand(in_flight=2), Stand(in_flight=3), Stand(in_flight=9)]
    assert ordered("least_busy", ways_of([1, 2, 4]), stands) == [1, 0, 2]


def test_the_least_busy_fill_up_by_weight() -> None:
    ways, stands = ways_of([1, 2, 3]), [Stand(), Stand(), Stand()]
    for seed in range(600):
        stands[ordered("least_busy", ways, stands, seed)[0]].in_flight += 1
    assert [stand.in_flight for stand in stands] == [100, 200, 300]


def test_idle_ways_are_drawn_by_weight() -> None:
    ways, stands = ways_of([3, 1]), [Stand(), Stand()]
    firsts = [order("least_busy", ways, stands, now=0.0, dice=Falls([x]))[0] for x in evenly(400)]
    assert firsts.count(0) == 300


def test_the_cheapest_is_first_and_unknown_costs_are_last() -> None:
    costs = [None, 700, 0, 10**30]
    found = order("cost", ways_of([1] * 4), [Stand()] * 4, now=0.0, dice=random.Random(0), cost=costs.__getitem__)
    assert found == [2, 1, 3, 0]


def test_equal_costs_are_drawn() -> None:
    ways, stands = ways_of([1, 1, 1]), [Stand()] * 3
    orders = [
        order("cost", ways, stands, now=0.0, dice=random.Random(seed), cost=[5, 5, 9].__getitem__) for seed in range(20)
    ]
    assert {tuple(found) for found in orders} == {(0, 1, 2), (1, 0, 2)}


def test_a_way_has_all_that_its_settings_say() -> None:
    options = DeploymentOptions(
        provider="a", model="m", weight=2.0, priority=1, tags=("eu",), context_tokens=9, lacks=("tools",)
    )
    assert way_of(options) == Way(
        candidate=Candidate(provider="a", upstream_model="m"),
        weight=2.0,
        priority=1,
        tags=("eu",),
        context_tokens=9,
        lacks=("tools",),
    )
