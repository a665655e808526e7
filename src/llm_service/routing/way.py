"""One way to serve a model, as routing sees it: what the operator said of it, and how it stands now."""

from collections.abc import Sequence
from dataclasses import field
from typing import Protocol

from llm_service.domain import Candidate, fact
from llm_service.routing.options import Ability, DeploymentOptions


@fact
class Way:
    """A deployment and what the operator said of it. Made once for each generation of settings.

    ``weight``: its share, beside the weights of the others; more than 0. ``context_tokens``, ``lacks``: where they say
    nothing the provider's catalogue is asked. ``key``: what tells it from others, in every process and at any time.
    """

    candidate: Candidate
    weight: float = 1.0
    priority: int = 0
    tags: tuple[str, ...] = ()
    context_tokens: int | None = None
    lacks: tuple[Ability, ...] = ()
    key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.candidate.provider}\0{self.candidate.upstream_model}".encode())


def way_of(options: DeploymentOptions) -> Way:
    """The way that a deployment of the settings is."""
    return Way(
        candidate=Candidate(provider=options.provider, upstream_model=options.model),
        weight=options.weight,
        priority=options.priority,
        tags=options.tags,
        context_tokens=options.context_tokens,
        lacks=options.lacks,
    )


class Standing(Protocol):
    """How a deployment stands in this process."""

    @property
    def in_flight(self) -> int:
        """Requests that are being served there now."""

    def latency(self, now: float, /) -> float:
        """What it takes lately to the first content, in seconds; 0.0 while nothing is known. ``now``: monotonic."""


Ways = Sequence[Way]
Standings = Sequence[Standing]
"""Of the ways at the same places."""
