"""In which order the deployments of a route are tried for one request, and why some of them are not."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from llm_service.domain import (
    NO_TAGS,
    Candidate,
    ContextLengthExceeded,
    InvalidValue,
    ModelInfo,
    ModelRequest,
    fact,
)
from llm_service.routing.breaker import Breaker
from llm_service.routing.fit import Needs, unfit, window
from llm_service.routing.route import Group, Route
from llm_service.routing.sticky import preferred, prefix_digest
from llm_service.routing.strategy import order, unpriced
from llm_service.routing.way import Way
from llm_service.runtime import Clock

CHARS_A_TOKEN: Final = 8
"""More than texts have on average in any language: an estimate from below."""
_SAMPLE: Final = (1_000, 500)
"""Tokens in and out by which deployments are compared when their cost is asked for."""

Obstacle = Literal["disabled", "unfit", "breaker"]


class PriceOf(Protocol):
    """The most that so many tokens can cost at a deployment."""

    def worst_case_nano(self, *, input_tokens: int, output_tokens: int) -> int:
        """In whole nano-USD."""


@fact
class Judgement:
    """What stands against a deployment for one request. ``why``: in words that follow its name."""

    place: int
    obstacle: Obstacle | None = None
    why: str = ""


class Ranking:
    """Orders the places of a route by what is known now; asks nobody.

    ``known``: what a provider's catalogue said of a model; ``price``: of a deployment; ``is_on``: whether a provider
    takes requests.
    """

    def __init__(
        self,
        *,
        known: Callable[[str, str], ModelInfo | None],
        price: Callable[[Candidate], PriceOf | None],
        is_on: Callable[[str], bool],
        clock: Clock,
        dice: random.Random,
    ) -> None:
        self._known = known
        self.price = price
        self.is_on = is_on
        self._now = clock.monotonic
        self._dice = dice

    def order(self, route: Route, request: ModelRequest, tags: Mapping[str, str] = NO_TAGS) -> Sequence[int]:
        """The places to try, the first first; never empty.

        Those that cannot serve are left out. Where that leaves nobody, those are tried that only a catalogue speaks
        against, which may be wrong, or that wait for something. Where the request is too much for every deployment of
        the model, those for long prompts follow. Raises InvalidValue and ContextLengthExceeded where the operator's own
        words leave nobody.
        """
        needs = needs_of(request, tags)
        places: list[int] = []
        for group in route.of("failure"):
            fitting = self._fitting(route, group, needs)
            if not fitting and group is route.groups[0]:
                places += self.of_groups(route, route.of("context"), request, needs)
            places += self._ordered(route, group, fitting, request)
        return places or self._unhindered(route, request, needs)

    def foreseen(self, route: Route, request: ModelRequest, tags: Mapping[str, str] = NO_TAGS) -> Sequence[int]:
        """The order that the next request would get: the dice fall as they will then, and are not thrown."""
        fall = self._dice.getstate()
        try:
            return self.order(route, request, tags)
        finally:
            self._dice.setstate(fall)

    def of_groups(
        self, route: Route, groups: Iterable[Group], request: ModelRequest, needs: Needs | None = None
    ) -> list[int]:
        """The places of some groups that can serve, in the order of trying."""
        needs = needs or needs_of(request, NO_TAGS)
        return [
            place
            for group in groups
            for place in self._ordered(route, group, self._fitting(route, group, needs), request)
        ]

    def judged(self, route: Route, request: ModelRequest, tags: Mapping[str, str] = NO_TAGS) -> list[Judgement]:
        """What stands against each place of the route."""
        needs = needs_of(request, tags)
        return [self._judge(route, place, needs) for place in range(len(route.ways))]

    def _judge(self, route: Route, place: int, needs: Needs) -> Judgement:
        way, breaker = route.ways[place], route.members[place].breaker
        candidate = way.candidate
        if not self.is_on(candidate.provider):
            return Judgement(place=place, obstacle="disabled", why="is at a provider that is switched off")
        why = unfit(needs, way, self._known(candidate.provider, candidate.upstream_model))
        if why is not None:
            return Judgement(place=place, obstacle="unfit", why=why)
        if not breaker.ready(self._now()):
            return Judgement(place=place, obstacle="breaker", why=_left_alone(breaker))
        return Judgement(place=place)

    def _fitting(self, route: Route, group: Group, needs: Needs) -> list[int]:
        return [place for place in group.places if self._judge(route, place, needs).obstacle is None]

    def _ordered(self, route: Route, group: Group, places: list[int], request: ModelRequest) -> list[int]:
        if len(places) < 2:
            return places
        ways = [route.ways[place] for place in places]
        members = [route.members[place] for place in places]
        found = order(
            group.strategy,
            ways,
            members,
            now=self._now(),
            dice=self._dice,
            cost=[self.cost(way.candidate) for way in ways].__getitem__ if group.strategy == "cost" else unpriced,
        )
        if group.sticky:
            first = preferred(prefix_digest(request), ways, members)
            found.remove(first)
            found.insert(0, first)
        return [places[at] for at in found]

    def cost(self, candidate: Candidate) -> int | None:
        """What deployments are compared by, in nano-USD; ``None`` where no price is known."""
        price = self.price(candidate)
        if price is None:
            return None
        return price.worst_case_nano(input_tokens=_SAMPLE[0], output_tokens=_SAMPLE[1])

    def _unhindered(self, route: Route, request: ModelRequest, needs: Needs) -> Sequence[int]:
        """Where nobody can serve: who would but for a breaker, a switch, or what a catalogue says."""
        judged = [self._judge(route, place, needs) for place in route.plain]
        for obstacle in ("breaker", "disabled"):
            if places := [one.place for one in judged if one.obstacle == obstacle]:
                return places
        needs.input_tokens = 0  # how long the prompt is, was only estimated: the provider has the last word
        reasons = {place: unfit(needs, route.ways[place], None) for place in route.plain}
        if possible := [place for place, why in reasons.items() if why is None]:
            return possible
        said = "; ".join(f"`{named(route.candidates[place])}` {why}" for place, why in reasons.items())
        message = f"No deployment of `{request.model[:200]}` can serve this request: {said}."
        if any(_is_too_long(needs, route.ways[place]) for place in route.plain):
            raise ContextLengthExceeded(message)
        raise InvalidValue(message)


def _left_alone(breaker: Breaker) -> str:
    return f"is left alone for now: {breaker.cause or 'it asked for that'}"


def named(candidate: Candidate) -> str:
    """A deployment as people call it."""
    return f"{candidate.provider}/{candidate.upstream_model[:200]}"


def _is_too_long(needs: Needs, way: Way) -> bool:
    context = window(way, None)
    return context is not None and needs.output_tokens > context


def needs_of(request: ModelRequest, tags: Mapping[str, str]) -> Needs:
    """What the request needs, with as many tokens as its texts probably have at least."""
    chars = _chars(request.body) if request.operation == "chat" else _prompt_chars(request.body.get("prompt"))
    return Needs(request, tags=tags, input_tokens=chars // CHARS_A_TOKEN)


def _prompt_chars(prompt: Any) -> int:
    return len(prompt) if type(prompt) is str else 0


def _chars(body: Mapping[str, Any]) -> int:
    """Characters of the texts of a chat; media do not count."""
    chars = 0
    for message in body["messages"]:
        content = message.get("content")
        if type(content) is str:
            chars += len(content)
        elif type(content) is list:
            for part in content:
                text = part.get("text")
                chars += len(text) if type(text) is str else 0
    return chars
