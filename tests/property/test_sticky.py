"""Where requests that begin alike go: each way by its weight, few moved when ways come and go, none overrun."""

from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_service.routing import Way, preferred
from tests.support.ways import Stand, way, ways_of

weights = st.floats(min_value=0.01, max_value=1000)
digests = st.binary(min_size=32, max_size=32)
fleets = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), weights, min_size=2, max_size=8)


def digest_of(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


def goes_to(digest: bytes, ways: list[Way]) -> Way:
    return ways[preferred(digest, ways, [Stand() for _ in ways])]


@given(digest=digests, fleet=fleets, data=st.data())
def test_who_leaves_moves_only_what_went_there(digest: bytes, fleet: dict[str, float], data: st.DataObject) -> None:
    ways = [way(name, weight=weight) for name, weight in fleet.items()]
    leaving = data.draw(st.sampled_from(ways))
    before = goes_to(digest, ways)
    after = goes_to(digest, data.draw(st.permutations([each for each in ways if each is not leaving])))
    assert after is before or before is leaving


@given(digest=digests, fleet=fleets, more=weights)
def test_more_weight_only_draws_to_itself(digest: bytes, fleet: dict[str, float], more: float) -> None:
    ways = [way(name, weight=weight) for name, weight in fleet.items()]
    heavier = way(next(iter(fleet)), weight=ways[0].weight + more)
    before, after = goes_to(digest, ways), goes_to(digest, [heavier, *ways[1:]])
    assert after is heavier if before is ways[0] else after in (before, heavier)


@pytest.mark.parametrize("given_weights", [[1.0, 1.0], [1.0, 2.0, 3.0, 4.0], [0.5, 99.5], [1.0] * 10])
def test_each_way_has_its_share_of_the_digests(given_weights: list[float]) -> None:
    """Chi-square with up to 9 degrees of freedom is above 27.9 once in a thousand; the digests are given."""
    ways, count = ways_of(given_weights), 4_000
    stands = [Stand() for _ in ways]
    found = Counter(preferred(digest_of(number), ways, stands) for number in range(count))
    expected = [count * weight / sum(given_weights) for weight in given_weights]
    assert sum((found[place] - share) ** 2 / share for place, share in enumerate(expected)) < 27.9


@given(digest=digests, given_weights=st.lists(weights, min_size=2, max_size=6), data=st.data())
def test_who_is_above_its_share_is_passed_over_for_the_next(
    digest: bytes, given_weights: list[float], data: st.DataObject
) -> None:
    ways = ways_of(given_weights)
    stands = [Stand(in_flight=data.draw(st.integers(0, 40))) for _ in ways]
    total, weight = sum(stand.in_flight for stand in stands), sum(given_weights)
    above = [
        stand.in_flight - 1.25 * total * each.weight / weight - 1 for each, stand in zip(ways, stands, strict=True)
    ]
    assume(all(abs(each) > 1e-6 for each in above))  # at the bound itself rounding decides
    free = [each for each, so_much in zip(ways, above, strict=True) if so_much < 0]
    assert ways[preferred(digest, ways, stands)] is goes_to(digest, free)


@given(digest=digests, count=st.integers(2, 6), requests=st.integers(1, 60))
def test_one_beginning_alone_overruns_nobody(digest: bytes, count: int, requests: int) -> None:
    ways = ways_of([1.0] * count)
    stands = [Stand() for _ in ways]
    for _ in range(requests):
        stands[preferred(digest, ways, stands)].in_flight += 1
    assert max(stand.in_flight for stand in stands) <= 1.25 * requests / count + 2
