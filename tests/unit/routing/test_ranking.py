"""In which order the deployments of a route are tried for a request, and what stands against the others."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from llm_service.domain import (
    Candidate,
    ContextLengthExceeded,
    InvalidValue,
    ModelInfo,
    ModelRequest,
    chat_request,
)
from llm_service.routing import BreakerOptions, Group, Ranking, Route
from tests.support.clock import ManualClock
from tests.support.routes import a_fleet, way


def asking(text: str = "Hi", **more: Any) -> ModelRequest:
    return chat_request({"model": "m", "messages": [{"role": "user", "content": text}], **more}, 60)


@dataclass
class Cheap:
    nano: int

    def worst_case_nano(self, *, input_tokens: int, output_tokens: int) -> int:
        return self.nano


class World:
    def __init__(self, *groups: Group, infos: dict[str, ModelInfo] | None = None, prices: dict[str, int] | None = None):
        self.clock = ManualClock()
        self.fleet = a_fleet(self.clock, breaker=BreakerOptions(failures=1))
        self.route = Route(groups, self.fleet.member)
        self.off: set[str] = set()
        prices = prices or {}

        def price(candidate: Candidate) -> Cheap | None:
            nano = prices.get(candidate.provider)
            return None if nano is None else Cheap(nano)

        self.ranking = Ranking(
            known=lambda provider, model: (infos or {}).get(provider),
            price=price,
            is_on=lambda name: name not in self.off,
            clock=self.clock,
            dice=random.Random(1),
        )

    def breaks(self, place: int) -> None:
        breaker, now = self.route.members[place].breaker, self.clock.monotonic()
        breaker.failed(now, breaker.permits(now), "down")

    def order(self, request: ModelRequest | None = None, **tags: str) -> str:
        places = self.ranking.order(self.route, request or asking(), tags)
        return " ".join(self.route.candidates[place].provider for place in places)


def test_groups_follow_each_other_and_those_for_prompts_do_not_come_by_themselves() -> None:
    world = World(
        Group("m", [way("a"), way("b")]),
        Group("n", [way("c")]),
        Group("long", [way("d")], trigger="context"),
        Group("bold", [way("e")], trigger="content"),
    )
    assert world.order() == "a b c"
    assert world.route.later == world.route.candidates[3:]


def test_a_broken_deployment_is_left_out_until_it_may_be_tried() -> None:
    world = World(Group("m", [way("a"), way("b")]))
    world.breaks(0)
    assert world.order() == "b"
    world.clock.advance(1.1)
    assert world.order() == "a b"


def test_where_all_are_broken_or_switched_off_those_are_named_that_would_serve() -> None:
    world = World(Group("m", [way("a"), way("b")]))
    world.off = {"b"}
    world.breaks(0)
    assert world.order() == "a"
    world.off = {"a", "b"}
    assert world.order() == "a b"


def test_a_deployment_that_lacks_something_is_passed_over() -> None:
    world = World(Group("m", [way("a", lacks=("tools",)), way("b")]))
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert (world.order(), world.order(asking(tools=tools))) == ("a b", "b")


def test_where_only_a_catalogue_speaks_against_all_they_are_asked_all_the_same() -> None:
    infos = {"a": ModelInfo(id="m", owned_by="a", parameters=("seed",))}
    world = World(Group("m", [way("a")]), infos=infos)
    assert world.order(asking(tools=[{"type": "function", "function": {"name": "f"}}])) == "a"


def test_where_the_operator_s_words_leave_nobody_the_request_is_refused_with_all_reasons() -> None:
    world = World(Group("m", [way("a", lacks=("tools",)), way("b", lacks=("tools",))]))
    with pytest.raises(InvalidValue, match=r"`a/m` lacks tools, by its settings; `b/m` lacks tools"):
        world.order(asking(tools=[{"type": "function", "function": {"name": "f"}}]))
    with pytest.raises(InvalidValue, match="has no tag `eu`"):
        world.order(route="eu")


def test_a_prompt_that_is_too_long_goes_where_it_fits() -> None:
    long = asking("word " * 20_000)
    world = World(Group("m", [way("a", context_tokens=8_000), way("b", context_tokens=128_000)]))
    assert (world.order(), world.order(long)) == ("a b", "b")
    world = World(
        Group("m", [way("a", context_tokens=8_000)]),
        Group("n", [way("b", context_tokens=8_000)]),
        Group("long", [way("c")], trigger="context"),
    )
    assert world.order(long) == "c"
    assert World(Group("m", [way("a", context_tokens=8_000)])).order(long) == "a"  # an estimate refuses nobody
    with pytest.raises(ContextLengthExceeded, match="context window of 8000 tokens"):
        World(Group("m", [way("a", context_tokens=8_000)])).order(asking(max_tokens=9_000))


def test_tags_of_a_request_choose_among_deployments() -> None:
    world = World(Group("m", [way("a", tags=("us",)), way("b", tags=("eu", "us"))]))
    assert (world.order(), world.order(route="eu"), world.order(team="eu")) == ("a b", "b", "a b")


def test_the_cheapest_is_first_where_that_is_wanted() -> None:
    world = World(Group("m", [way("a"), way("b"), way("c")], strategy="cost"), prices={"a": 30, "b": 10})
    assert world.order() == "b a c"


def test_requests_that_begin_alike_go_to_the_same_deployment() -> None:
    world = World(Group("m", [way(name) for name in "abcdef"], strategy="weighted", sticky=True))
    firsts = {text: {world.order(asking(text))[0] for _ in range(10)} for text in "pqrstuvwxyz"}
    assert all(len(names) == 1 for names in firsts.values())
    assert len({name for names in firsts.values() for name in names}) > 2


def test_what_stands_against_each_is_told_in_words() -> None:
    world = World(Group("m", [way("a"), way("b", tags=("eu",)), way("c")]))
    world.off = {"c"}
    world.breaks(0)
    judged = world.ranking.judged(world.route, asking(), {"route": "eu"})
    assert [(one.place, one.obstacle) for one in judged] == [(0, "unfit"), (1, None), (2, "disabled")]
    assert [one.obstacle for one in world.ranking.judged(world.route, asking())] == ["breaker", None, "disabled"]
