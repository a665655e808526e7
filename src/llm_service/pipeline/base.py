"""The row of stages that every request passes, and what stages leave behind for the way out."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from llm_service.admission import FREE as NOTHING_HELD
from llm_service.admission import Admitted
from llm_service.cache import CachePlan, Search
from llm_service.domain import (
    ANY_ANSWER,
    CACHE_HITS,
    NO_TAGS,
    CacheControl,
    CacheStatus,
    Caller,
    Candidate,
    Cost,
    Event,
    InternalError,
    KeptAnswer,
    LLMServiceError,
    ModelRequest,
    Outcome,
    Reply,
    UpstreamError,
    Usage,
    UsageRecord,
    Verdict,
)
from llm_service.filters import NO_POLICY, Masks, Policy
from llm_service.observability import Trace
from llm_service.routing import NOWHERE, Route
from llm_service.runtime import Tasks
from llm_service.storage import CacheLook
from llm_service.streams import Generation, Stream, stream_id_of

FREE: Final[frozenset[CacheStatus]] = frozenset((*CACHE_HITS, "replay"))
INNER: Final = "filter"
"""The surface of requests that the service itself makes for the sake of others."""
ABORTED: Final = "aborted"
"""Nobody waited for the attempt any more."""
EPOCH: Final = datetime.fromtimestamp(0, UTC)
Found = TypeVar("Found")


class Watcher:
    """What a stage leaves for the way out, instead of wrapping the body.

    ``looks``: whether it wants to see events; a generation that nobody looks at is not taken apart.
    """

    __slots__ = ()
    looks: bool = False

    def see(self, event: Event) -> Event | None:
        """Look at an event and pass it on, changed or not; ``None`` holds it back. Never blocks."""
        return event

    def flush(self) -> Sequence[Event]:
        """What was held back and may go out after all, before the terminal events."""
        return ()

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        """Close the stage's account of the exchange, before the terminal event is sent. Called once.

        ``None`` when that is done already; otherwise something to await.
        """
        return None


class Try:
    """One call of an upstream. ``error_code``: why it failed, ``lost``, ``aborted``; ``None``: it answered.

    Moments in monotonic seconds; ``ended_at``: at its first content, its failure, or when it was given up. ``usage``,
    ``cost``: what a failed one bills all the same, where its provider says so. ``nano_usd``: what one
    probably cost that lost. ``span_id``: its place in a trace, empty where nobody is told of one. ``is_fault``: it
    failed, also behind its first content, by the provider's fault.
    """

    __slots__ = ("begun_at", "candidate", "cost", "ended_at", "error_code", "is_fault", "nano_usd", "span_id", "usage")

    def __init__(self, candidate: Candidate, begun_at: float) -> None:
        self.candidate = candidate
        self.begun_at = begun_at
        self.ended_at: float | None = None
        self.error_code: str | None = None
        self.usage: Usage | None = None
        self.cost: Cost | None = None
        self.nano_usd = 0
        self.span_id = ""
        self.is_fault = False

    def fails(self, error: LLMServiceError) -> None:
        """Why it gave no content, and what it bills for that."""
        self.error_code = error.code
        if isinstance(error, UpstreamError):
            self.usage, self.cost = error.usage, error.cost


class Withheld(NamedTuple):
    """An answer, or the beginning of one, that its client has not been given. It is paid for all the same.

    ``pieces``: the JSON of it, whole or chunk by chunk. ``outcome``: what its provider said at the end, where it has
    ended.
    """

    pieces: Sequence[bytes]
    outcome: Outcome | None = None


class Refresh(Protocol):
    """A new answer in place of a stale one that was given out."""

    async def begin(self, again: "Exchange") -> bool:
        """Whether this exchange is to ask for it: nobody else does."""

    async def end(self) -> None:
        """It is kept, or there is none; to be called in any case."""


class Exchange:
    """One request on its way with its facts. Never copied.

    Fixed at the door: ``id``, ``stream_id``, ``surface``, ``request``, ``caller``, ``user``, ``tags``, ``at`` (aware,
    UTC), ``received_at`` and ``deadline`` (monotonic seconds; ``None`` where there is none), ``control``,
    ``finish`` (its generation goes on when its client leaves), ``idempotency_key``, ``trace`` (``None`` where tracing
    is off, or nobody has heard of one); and ``stream``, what its client is told of one. ``marks`` are the moments at
    which the stages began, in the row's order.

    Set by stages; once each, but for ``cache`` (a miss, until ``share`` knows better), ``admitted`` and
    ``admit_in_full`` (a place at first, then what an upstream call takes), ``epochs`` and ``found`` (what the latest
    look-up says):

    - ``resolve``: ``route`` (everything that may serve it)
    - ``check``: ``output_cap`` (tokens of one choice, where less than it asks for fits)
    - ``screen``: ``policy`` (the filters that it meets), ``is_screened`` (they let its prompt pass), ``masks`` and
      ``sent`` (the request as providers get it, and as its tokens count: with placeholders in place of what is masked)
    - whatever judges: ``verdicts`` (one for each filter and side that found something)
    - ``sift``, ``vet``: ``withheld`` (what its provider has said, and nobody is given)
    - ``remember``: ``plan`` (what the cache may do for it) and with it ``cache_key`` (what tells in records which
      requests are the same), ``look`` (what is there, where that is known, or something to await for it),
      ``is_expected`` (its answer is there, or on its way), ``search`` (for its question in other words, where it may
      be answered so), ``cache``
    - ``rank``: ``order`` (places of the route, the first to try first)
    - ``admit``: ``admitted`` (what was granted), ``admit_in_full`` (where that is a place alone); in the end ``record``
    - ``share``: ``epochs`` and ``found`` (what was looked up), ``cache`` and ``kept`` (the answer that it is given),
      ``generation`` (its own), ``followed`` (another's), ``flies`` (other processes know that it leads),
      ``refresh`` (its answer is stale: a new one is to be asked for)
    - ``call``: ``tries`` (the calls of upstreams, in the order in which they began), ``place`` (of the route: the one
      that is asked, or that has answered), ``queue_s`` (how long it waited for places)
    - ``head_at`` (when the reply's head was there): ``call``, or ``share`` where nobody is called
    """

    __slots__ = (
        "_settling", "_tasks", "admit_in_full", "admitted", "at", "cache", "cache_key", "caller", "control", "deadline",
        "epochs", "finish", "flies", "followed", "found", "generation", "head_at", "id", "idempotency_key",
        "is_expected", "is_screened", "kept", "look", "marks", "masks", "order", "output_cap", "place", "plan",
        "policy", "queue_s", "received_at", "record", "refresh", "request", "route", "search", "sent", "stream",
        "stream_id", "surface", "tags", "trace", "tries", "user", "verdicts", "watchers", "withheld",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the contract's word
        stream_id: str,
        surface: str,
        request: ModelRequest,
        caller: Caller,
        tasks: Tasks,
        received_at: float,
        deadline: float | None = None,
        user: str | None = None,
        tags: Mapping[str, str] = NO_TAGS,
        at: datetime = EPOCH,
        control: CacheControl = ANY_ANSWER,
        finish: bool = False,
        idempotency_key: str | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.id = id
        self.stream_id = stream_id
        self.surface = surface
        self.request = self.sent = request
        self.caller = caller
        self.received_at = received_at
        self.deadline = deadline
        self.user = user
        self.tags = tags
        self.at = at
        self.control = control
        self.finish = finish
        self.idempotency_key = idempotency_key
        self.trace = trace
        self.watchers: list[Watcher] = []
        self.marks: list[float] = []
        self.route: Route = NOWHERE
        self.order: Sequence[int] = ()
        self.output_cap: int | None = None
        self.policy: Policy = NO_POLICY
        self.is_screened = False
        self.masks: Masks | None = None
        self.verdicts: list[Verdict] = []
        self.withheld: Withheld | None = None
        self.admitted: Admitted = NOTHING_HELD
        self.tries: list[Try] = []
        self.place: int | None = None
        self.queue_s: float | None = None
        self.record: UsageRecord | None = None
        self.head_at: float | None = None
        self.plan: CachePlan | None = None
        self.cache_key: str | None = None
        self.search: Search | None = None
        self.look: CacheLook | Awaitable[CacheLook] | None = None
        self.epochs: tuple[int, ...] = ()
        self.cache: CacheStatus = "bypass"
        self.found: KeptAnswer | None = None
        self.kept: KeptAnswer | None = None
        self.generation: Generation | None = None
        self.followed: Generation | None = None
        self.flies = False
        self.is_expected = False
        self.admit_in_full: Callable[[Exchange], Awaitable[None]] | None = None
        self.refresh: Refresh | None = None
        self.stream: Stream | None = None
        self._tasks = tasks
        self._settling: asyncio.Task[None] | None = None

    def spawn(self, work: Coroutine[Any, Any, Found], *, name: str) -> "asyncio.Task[Found]":
        """Work for it beside the row, in a task that the owner of all exchanges ends with them."""
        return self._tasks.spawn(work, name=name)

    def plan_cache(self, plan: CachePlan | None) -> None:
        """What the cache may do for it; ``None``: nothing."""
        self.plan = plan
        self.cache_key = None if plan is None else plan.digest[:16].hex()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every deployment that may serve it, in the order of the configuration."""
        return self.route.candidates

    @property
    def candidate(self) -> Candidate:
        """The deployment that is asked, or that has answered; before that the first one that had room."""
        place = self.place
        return self.route.candidates[self.order[self.admitted.candidate] if place is None else place]

    @property
    def called(self) -> bool:
        """Whether an upstream was asked."""
        return bool(self.tries)

    def has_tried(self, provider: str) -> bool:
        """Whether a provider has been asked."""
        return any(one.candidate.provider == provider for one in self.tries)

    def spent_s(self, provider: str, now: float) -> float:
        """Seconds that earlier attempts at a provider took, with what was waited for places."""
        tries = [one for one in self.tries if one.candidate.provider == provider and one.ended_at is not None]
        return sum([(one.ended_at or now) - one.begun_at for one in tries], self.queue_s or 0.0)

    @property
    def stands_in(self) -> bool:
        """Whether another model than the one that was asked for is called, or has answered."""
        return self.place is not None and self.place not in self.route.groups[0].places

    def anew(self, *, id: str, at: datetime, received_at: float) -> "Exchange":  # noqa: A002 - the contract's word
        """The same request once more, with nobody waiting for it, to be answered by an upstream."""
        return Exchange(
            id=id,
            stream_id=stream_id_of(id),
            surface=self.surface,
            request=self.request,
            caller=self.caller,
            tasks=self._tasks,
            received_at=received_at,
            user=self.user,
            tags=self.tags,
            at=at,
            control=CacheControl(no_cache=True),
            finish=True,
        )

    def asking(
        self,
        request: ModelRequest,
        *,
        id: str,  # noqa: A002 - the contract's word
        at: datetime,
        received_at: float,
        tags: Mapping[str, str],
    ) -> "Exchange":
        """A request of our own for the sake of this one, on the account of the same caller.

        Nothing in it comes from the caller's choice: neither the models that its key may ask for nor its wish for
        similar answers hold for it.
        """
        caller, key = self.caller, self.caller.key
        if key is not None:
            caller = replace(caller, key=replace(key, models=None, semantic_cache=False))
        return Exchange(
            id=id,
            stream_id=stream_id_of(id),
            surface=INNER,
            request=request,
            caller=caller,
            tasks=self._tasks,
            received_at=received_at,
            user=self.user,
            tags={**self.tags, **tags},
            at=at,
            control=CacheControl(no_store=self.control.no_store),
        )

    @property
    def is_inner(self) -> bool:
        """Whether the service asks for the sake of another request, which has been let in and holds its place."""
        return self.surface == INNER

    def goes_on(self, task: "asyncio.Task[None]") -> bool:
        """Its client has gone before the answer began: whether this task is to go on all the same, for others."""
        generation = self.generation
        return generation is not None and not generation.begun and generation.leave_to_others(task)

    @property
    def is_free(self) -> bool:
        """Whether somebody else's call answered it, so that it used and cost nothing."""
        return self.cache in FREE

    @property
    def saved_nano_usd(self) -> int:
        """What the answer cost whoever asked first; nothing where this exchange paid itself."""
        if self.cache not in FREE:
            return 0
        if self.kept is not None:
            return self.kept.nano_usd
        return 0 if self.followed is None else self.followed.nano_usd

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        """Let every watcher close its account, inside out, once, shielded from the caller's cancellation.

        ``None`` when all is settled; otherwise something to await, by as many as like. Either raises what a watcher
        raised, when the others have settled or are about to.
        """
        watchers = self.watchers
        while watchers and self._settling is None:
            try:
                waiting = watchers.pop().settle(outcome)
            except Exception as defect:
                self.settle(_unsettled(outcome, defect))  # the others close their accounts all the same
                raise
            if waiting is not None:
                self._settling = self._tasks.spawn(self._settle_rest(waiting, outcome), name="settle")
        return None if self._settling is None else asyncio.shield(self._settling)

    async def _settle_rest(self, waiting: Awaitable[None], outcome: Outcome) -> None:
        try:
            await waiting
        except Exception as defect:
            outcome = _unsettled(outcome, defect)
            raise
        finally:
            while self.watchers:
                if (waits := self.watchers.pop().settle(outcome)) is not None:
                    await self._settle_rest(waits, outcome)


def _unsettled(outcome: Outcome, defect: Exception) -> Outcome:
    """An answer whose account could not be closed is no good one: nobody keeps it, or gives it to others."""
    error = defect if isinstance(defect, LLMServiceError) else InternalError("The record of the answer is not closed.")
    return replace(outcome, status="error", error=outcome.error or error)


Proceed = Callable[[Exchange], Awaitable[Reply]]


class Stage(Protocol):
    """One step on the way in: it may refuse by raising, leave a watcher, and ends in ``await proceed(exchange)``."""

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        """Do the stage's part and go on."""


class Passing(ABC):
    """A stage that nearly every request passes without a wait, and with nothing left to do behind the others.

    The row goes from one of them to the next in a loop, where other stages call the rest of the row themselves.
    """

    @abstractmethod
    def passes(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply] | None:
        """Do the stage's part, or refuse by raising. ``None``: the row goes on. Else what goes on with ``proceed``."""

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        """The same as any other stage does it."""
        going_on = self.passes(exchange, proceed)
        return proceed(exchange) if going_on is None else going_on


class Row(NamedTuple):
    """The composed row: what to call with an exchange, and the names of the moments in ``Exchange.marks``."""

    proceed: Proceed
    names: tuple[str, ...]


_Step = tuple[Callable[[Exchange, Proceed], Awaitable[Reply] | None], Proceed]
"""How a stage is passed, and the row behind it."""


def compose(
    stages: Sequence[tuple[str, Stage]],
    last: tuple[str, Proceed],
    *,
    now: Callable[[], float],
    marks: Sequence[str] = (),
) -> Row:
    """Link the stages once: each is handed the rest of the row, and the moment (``now``) of its beginning is marked.

    ``marks``: names of further moments, which the last one marks by itself.
    """
    ending: Proceed = last[1]
    steps: tuple[_Step, ...] = ()
    proceed = _walk(steps, ending, now)
    for _, stage in reversed(stages):
        if isinstance(stage, Passing):
            steps = ((stage.passes, proceed), *steps)
        else:
            steps, ending = (), partial(_call, stage, proceed)
        proceed = _walk(steps, ending, now)
    return Row(proceed, (*(name for name, _ in stages), last[0], *marks))


def _call(stage: Stage, proceed: Proceed, exchange: Exchange) -> Awaitable[Reply]:
    return stage(exchange, proceed)


def _walk(steps: Sequence[_Step], ending: Proceed, now: Callable[[], float]) -> Proceed:
    def walk(exchange: Exchange) -> Awaitable[Reply]:
        mark = exchange.marks.append
        for passes, rest in steps:
            mark(now())
            if (going_on := passes(exchange, rest)) is not None:
                return going_on
        mark(now())
        return ending(exchange)

    return walk
