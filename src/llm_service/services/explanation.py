"""What would become of a request, and why: the facts that the doors show."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from llm_service.domain import (
    CacheStatus,
    Candidate,
    Direction,
    FilterAction,
    LimitState,
    LLMServiceError,
    Operation,
    Usage,
    Verdict,
    fact,
)
from llm_service.prices import Origin
from llm_service.routing import BreakerState, Obstacle, Strategy, Trigger
from llm_service.storage import Reach

Action = Literal["answer from the cache", "join", "call", "refuse"]
KeyStanding = Literal["new", "running", "kept", "refused"]
"""Of an ``Idempotency-Key``; ``refused``: the error of the result says why."""


@fact
class PriceView:
    """What a request costs at a deployment, in nano-USD. ``origin``, ``stated_on``: who says so, and as of which day.

    ``worst_nano_usd``: the most; ``None`` where nothing bounds the answer. ``typical_nano_usd``: an estimate, for the
    tokens of `Explanation.typical`.
    """

    origin: Origin
    stated_on: date | None
    worst_nano_usd: int | None
    typical_nano_usd: int


@fact
class DeploymentView:
    """A deployment for one request. ``rank``: when it would be tried, from 1; ``None``: not, as things are.

    ``why``: what stands against it, in words that follow its name. ``breaker_since``: when the breaker opened or closed
    last. ``latency_s``: to the first content, lately, in this process; ``None``: not known. ``score_s``: what a request
    may wait for there (strategy `latency`); ``cost_nano_usd``: what they are compared by (strategy `cost`).
    ``price``: ``None`` where nobody knows it.
    """

    candidate: Candidate
    rank: int | None
    obstacle: Obstacle | None
    why: str | None
    breaker: BreakerState
    breaker_since: datetime
    in_flight: int
    latency_s: float | None
    weight: float
    priority: int
    tags: Sequence[str]
    score_s: float | None
    cost_nano_usd: int | None
    price: PriceView | None


@fact
class GroupView:
    """The deployments of one model. ``trigger``: why it is asked. ``sticky``: where requests that begin alike go to."""

    model: str
    trigger: Trigger
    strategy: Strategy
    sticky: Candidate | None
    deployments: Sequence[DeploymentView]


@fact
class LimitView:
    """A limit that the request meets, and what it takes of it at most. ``has_room``: ``None`` where nobody knows."""

    state: LimitState
    takes: int
    has_room: bool | None


@fact
class LimitsView:
    """The limits. ``input_tokens``, ``output_tokens``: the most that the request has, ``None`` where nothing bounds it.

    ``cap``: output tokens of one choice that the provider would be sent; ``None``: as the request has it. ``unpriced``:
    deployments that a budget does not allow, since nobody knows what they cost. ``reach``: for whom the limits hold.
    """

    limits: Sequence[LimitView]
    input_tokens: int
    output_tokens: int | None
    cap: int | None
    unpriced: Sequence[Candidate]
    reach: Reach


@fact
class CacheView:
    """What the response cache has. ``key``: as in records. ``alike``: an answer to a question in other words may do."""

    status: Literal["hit", "stale", "miss", "bypass"]
    reason: str | None = None
    key: str | None = None
    age_s: int | None = None
    ttl_s: int | None = None
    in_flight: bool = False
    alike: bool = False


@fact
class FilterView:
    """A filter that the request meets. ``on``: the sides that it looks at. ``is_asked``: it judges by asking somebody,
    which an explanation does not. ``verdicts``: what it says of the prompt. ``score``: of those that give one.
    """

    name: str
    type: str
    on: Sequence[Direction]
    action: FilterAction
    on_failure: Literal["open", "closed"]
    is_asked: bool
    verdicts: Sequence[Verdict]
    score: float | None = None


@fact
class RetriesView:
    """How often a provider may be asked again for one request, and what its budget has left in this process."""

    provider: str
    max_retries: int
    budget_left: int


@fact
class ResultView:
    """What would happen. ``cache``: what ``x-llm-cache`` would say; ``candidate``: who would be called.

    ``retries``: of the providers that may be called. ``deadline_s``: the request's own.
    """

    action: Action
    cache: CacheStatus | None = None
    candidate: Candidate | None = None
    error: LLMServiceError | None = None
    retries: Sequence[RetriesView] = ()
    deadline_s: float | None = None

    @property
    def would(self) -> str:
        """In words."""
        one = self.candidate
        return f"call {one.provider}/{one.upstream_model}" if self.action == "call" and one else self.action


@fact
class Explanation:
    """All of it. ``cache`` and ``limits`` are ``None`` where the model leads nowhere. ``typical``: the tokens that a
    price is estimated for: those of the prompt, and of an answer of usual length.
    """

    operation: Operation
    model: str
    result: ResultView
    route: Sequence[GroupView] = ()
    limits: LimitsView | None = None
    cache: CacheView | None = None
    idempotency: KeyStanding | None = None
    typical: Usage | None = None
    filters: Sequence[FilterView] = ()
