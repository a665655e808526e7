"""What the name of a model leads to: ways to serve it, in groups of which each stands in for those before it."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from llm_service.domain import Candidate
from llm_service.routing.fleet import Member
from llm_service.routing.options import Strategy
from llm_service.routing.way import Way

Trigger = Literal["failure", "context", "content"]
"""Why a group is asked: those before it cannot serve; the prompt is too long for them; its content was refused."""


class Group:
    """The deployments of one model. ``name``: as callers and operators call it; ``places``: where they stand."""

    __slots__ = ("name", "places", "sticky", "strategy", "trigger", "ways")

    def __init__(
        self,
        name: str,
        ways: Sequence[Way],
        *,
        strategy: Strategy = "priority",
        sticky: bool = False,
        trigger: Trigger = "failure",
    ) -> None:
        self.name = name
        self.ways = tuple(ways)
        self.strategy: Strategy = strategy
        self.sticky = sticky
        self.trigger: Trigger = trigger
        self.places = range(0)


class Route:
    """Everything that may serve a request. The first group is the model that was asked for.

    ``ways``: all of them in the order of the configuration, and beside them their ``candidates``, ``members`` of the
    fleet and ``group_of``; a *place* is an index into these. ``plain``: the places of those that may be asked from the
    beginning; the others only for what an upstream has answered. ``is_ours``: the request's own list of models is
    followed here, and not by the provider.
    """

    __slots__ = ("candidates", "first", "group_of", "groups", "is_ours", "later", "members", "plain", "ways")

    def __init__(
        self, groups: Sequence[Group], member: Callable[[Candidate], Member], *, is_ours: bool = False
    ) -> None:
        """Groups for failures come first."""
        self.groups = tuple(groups)
        self.is_ours = is_ours
        ways: list[Way] = []
        self.group_of: list[Group] = []
        plain = 0
        for group in groups:
            group.places = range(len(ways), len(ways) + len(group.ways))
            ways += group.ways
            self.group_of += [group] * len(group.ways)
            plain = len(ways) if group.trigger == "failure" else plain
        self.ways = tuple(ways)
        self.candidates: tuple[Candidate, ...] = tuple(way.candidate for way in ways)
        self.members = [member(candidate) for candidate in self.candidates]
        self.plain: Sequence[int] = tuple(range(plain))
        self.first = self.candidates[:plain]
        """The candidates of these."""
        self.later = self.candidates[plain:]
        """Those that are asked only for what an upstream has answered."""

    def of(self, trigger: Trigger) -> Sequence[Group]:
        """The groups that are asked for this reason, in their order."""
        return [group for group in self.groups if group.trigger == trigger]


def _nobody(_: Candidate) -> Member:
    raise ValueError("nowhere is nobody")


NOWHERE: Final = Route((), _nobody)
