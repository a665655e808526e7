"""Every way is tried once, lower priorities first, and each strategy's shares are what it promises."""

import random
from collections import Counter
from itertools import permutations, product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.routing import Strategy, order
from tests.support.ways import Falls, Stand, evenly, ways_of

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
weights = st.floats(min_value=1e-6, max_value=1000)
stands = st.builds(Stand, st.integers(0, 50), st.floats(min_value=0, max_value=60))
fleets = st.lists(st.tuples(weights, st.integers(0, 2), stands, st.none() | st.integers(0, 10**18)), max_size=8)


@given(strategy=st.sampled_from(STRATEGIES), fleet=fleets, seed=st.integers(0, 2**32))
def test_each_way_has_one_place_and_each_tier_is_ordered_by_itself(
    strategy: Strategy, fleet: list[tuple[float, int, Stand, int | None]], seed: int
) -> None:
    ways = ways_of([weight for weight, *_ in fleet], [priority for _, priority, *_ in fleet])
    standings, costs = [stand for *_, stand, _ in fleet], [cost for *_, cost in fleet]
    dice, again = random.Random(seed), random.Random(seed)
    found = order(strategy, ways, standings, now=0.0, dice=dice, cost=costs.__getitem__)

    expected: list[int] = []
    for priority in range(3):
        tier = [place for place, way in enumerate(ways) if way.priority == priority]
        alone = order(
            strategy,
            [ways[place] for place in tier],
            [standings[place] for place in tier],
            now=0.0,
            dice=again,
            cost=[costs[place] for place in tier].__getitem__,
        )
        expected += [tier[place] for place in alone]
    assert found == expected
    assert sorted(found) == list(range(len(fleet)))


@given(given_weights=st.lists(weights, min_size=2, max_size=6))
def test_the_shares_of_the_first_places_are_exactly_those_of_the_weights(given_weights: list[float]) -> None:
    ways, draws = ways_of(given_weights), 200
    standings = [Stand() for _ in ways]
    rest = [0.5] * len(ways)
    firsts = Counter(order("weighted", ways, standings, now=0.0, dice=Falls([x, *rest]))[0] for x in evenly(draws))
    for place, weight in enumerate(given_weights):
        assert abs(firsts[place] - draws * weight / sum(given_weights)) <= 1


@given(given_weights=st.lists(st.integers(1, 10), min_size=3, max_size=3))
def test_the_rest_is_drawn_by_the_same_rule(given_weights: list[int]) -> None:
    ways, draws = ways_of(given_weights), 30
    standings, total = [Stand() for _ in ways], sum(given_weights)
    orders = Counter(
        tuple(order("weighted", ways, standings, now=0.0, dice=Falls(falls)))
        for falls in product(tuple(evenly(draws)), repeat=2)
    )
    for one, other, last in permutations(range(3)):
        share = given_weights[one] / total * given_weights[other] / (total - given_weights[one])
        assert abs(orders[one, other, last] / draws**2 - share) <= 2 / draws


@pytest.mark.parametrize("seed", range(3))
def test_real_dice_fall_by_weight(seed: int) -> None:
    """Chi-square with 23 degrees of freedom is above 49.7 once in a thousand; the seeds are given."""
    given_weights, draws = [1.0, 2.0, 3.0, 4.0], 6_000
    ways, dice = ways_of(given_weights), random.Random(seed)
    standings = [Stand() for _ in ways]
    orders = Counter(tuple(order("weighted", ways, standings, now=0.0, dice=dice)) for _ in range(draws))
    chi_square = 0.0
    for places in permutations(range(4)):
        expected, left = float(draws), sum(given_weights)
        for place in places:
            expected *= given_weights[place] / left
            left -= given_weights[place]
        chi_square += (orders[places] - expected) ** 2 / expected
    assert chi_square < 49.7


@given(latencies=st.lists(st.floats(min_value=0.001, max_value=60), min_size=2, max_size=6, unique=True))
def test_of_two_choices_a_way_is_first_as_often_as_it_is_the_best_of_a_pair(latencies: list[float]) -> None:
    ways, count = ways_of([1] * len(latencies)), len(latencies)
    standings = [Stand(latency_s=latency_s) for latency_s in latencies]
    pairs = count * (count - 1)
    firsts = Counter(order("latency", ways, standings, now=0.0, dice=Falls([x]))[0] for x in evenly(pairs))
    for place, latency_s in enumerate(latencies):
        assert firsts[place] == 2 * sum(slower > latency_s for slower in latencies)
