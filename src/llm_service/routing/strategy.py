"""In which order the ways to serve a model are tried."""

import math
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from llm_service.routing.options import Strategy
from llm_service.routing.way import Standing, Standings, Ways

Order = list[int]
"""Places in a row of ways, the first to try first."""
CostOf = Callable[[int], int | None]
"""What the request would cost by the way at this place, in nano-USD; ``None`` where that is not known."""

_UNTRIED_S: Final = 1e9
"""Longer than anything takes: nothing is known yet of a way, and somebody is about to find out."""


def unpriced(_place: int) -> int | None:
    """No prices: for strategies that do not ask for any."""
    return None


def order(
    strategy: Strategy,
    ways: Ways,
    standings: Standings,
    *,
    now: float,
    dice: random.Random,
    cost: CostOf = unpriced,
) -> Order:
    """All places of ``ways``, in the order of trying: lower ``priority`` first, by the strategy among equals.

    - ``priority``: as they are listed.
    - ``weighted``: drawn one after the other without putting back; a share of the first places as of the weights.
    - ``latency``: of two that are drawn the one with the lower :func:`score`; then the rest by it.
    - ``least_busy``: the fewest requests in flight for its weight; among equals as ``weighted``.
    - ``cost``: the cheapest, unknown ones last; among equals as ``weighted``.

    ``now``: monotonic seconds. ``dice``: one draw for two ways, at most one for each way. Reads its arguments alone.
    """
    count = len(ways)
    if count < 2:
        return list(range(count))
    priorities = [way.priority for way in ways]
    places = list(range(count))
    tiers = priorities.count(priorities[0]) != count
    if tiers:
        places.sort(key=priorities.__getitem__)
    if strategy == "priority":
        return places
    rule, view = _RULES[strategy], _View(ways, standings, now, dice, cost)
    return _by_tier(places, priorities, rule, view) if tiers else rule(places, view)


def score(standing: Standing, now: float) -> float:
    """What a further request may wait for, in seconds: the latency, once for each request that is there and for itself.

    Who is not known is tried, by one request at a time: idle it is the best of all, else the last.
    """
    in_flight = standing.in_flight
    latency_s = standing.latency(now)
    if latency_s > 0.0:
        return latency_s * (in_flight + 1)
    return _UNTRIED_S + in_flight if in_flight else 0.0


class _View(NamedTuple):
    """What the rules look at."""

    ways: Ways
    standings: Standings
    now: float
    dice: random.Random
    cost: CostOf


_Rule = Callable[[Order, _View], Order]


def _by_tier(places: Order, priorities: list[int], rule: _Rule, view: _View) -> Order:
    """Places that are sorted by priority, each run of equals by the rule."""
    found: Order = []
    begin = 0
    for end in range(1, len(places) + 1):
        if end == len(places) or priorities[places[end]] != priorities[places[begin]]:
            tier = places[begin:end]
            found += rule(tier, view) if len(tier) > 1 else tier
            begin = end
    return found


def _weighted(tier: Order, view: _View) -> Order:
    """Each place is drawn by weight among those that are left; the last one is no draw."""
    weights = [view.ways[place].weight for place in tier]
    drawn: Order = []
    while len(tier) > 1:
        left = view.dice.random() * sum(weights)
        last = len(tier) - 1
        at = 0
        while at < last and left >= weights[at]:
            left -= weights[at]
            at += 1
        drawn.append(tier.pop(at))
        del weights[at]
    drawn += tier
    return drawn


def _latency(tier: Order, view: _View) -> Order:
    """The power of two choices (Mitzenmacher 2001): the best of all would draw all of a moment's requests to one."""
    scores = [score(view.standings[place], view.now) for place in tier]
    one, other = _two(len(tier), view.dice)
    first = one if scores[one] <= scores[other] else other
    rest = sorted(range(len(tier)), key=scores.__getitem__)
    rest.remove(first)
    return [tier[first], *[tier[each] for each in rest]]


def _two(count: int, dice: random.Random) -> tuple[int, int]:
    """Two different numbers below ``count``, by one draw: all pairs are equally likely, in either order."""
    pair = int(dice.random() * (count * (count - 1)))
    one, other = divmod(pair, count - 1)
    return one, other + (other >= one)


def _least_busy(tier: Order, view: _View) -> Order:
    loads = {place: view.standings[place].in_flight / view.ways[place].weight for place in tier}
    return _by_figure(tier, loads, view)


def _cost(tier: Order, view: _View) -> Order:
    costs = {place: math.inf if (cost := view.cost(place)) is None else cost for place in tier}
    return _by_figure(tier, costs, view)


def _by_figure(tier: Order, figures: Mapping[int, float], view: _View) -> Order:
    """The least first; sorting leaves equals in the order that was drawn."""
    drawn = _weighted(tier, view)
    drawn.sort(key=figures.__getitem__)
    return drawn


_RULES: Final[Mapping[Strategy, _Rule]] = MappingProxyType(
    {"weighted": _weighted, "latency": _latency, "least_busy": _least_busy, "cost": _cost}
)
