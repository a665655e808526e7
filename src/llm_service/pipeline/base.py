"""The row of stages that every request passes, and what stages leave behind for the way out."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from llm_service.admission import FREE, Admitted
from llm_service.domain import NO_TAGS, Caller, Candidate, Event, ModelRequest, Outcome, Reply, UsageRecord
from llm_service.runtime import Tasks

EPOCH: Final = datetime.fromtimestamp(0, UTC)


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


class Exchange:
    """One request on its way with its facts. Never copied.

    ``id``, ``stream_id``, ``surface``, ``request``, ``caller``, ``user``, ``tags``, ``at`` (aware, UTC),
    ``received_at`` and ``deadline`` (monotonic seconds both; ``None`` where there is none) are fixed at the door.
    ``marks`` are the moments at which the stages began, in the row's order. Each stage that has a slot here sets it,
    once: ``candidates`` by ``resolve``; ``admitted`` (what was granted), and at the end ``record``, by ``admit``;
    ``called`` (an upstream was asked) by ``account``; ``head_at`` (when the reply's head was there) by the provider's
    call.
    """

    __slots__ = (
        "_settling", "_tasks", "admitted", "at", "called", "caller", "candidates", "deadline", "head_at", "id", "marks",
        "received_at", "record", "request", "stream_id", "surface", "tags", "user", "watchers",
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
    ) -> None:
        self.id = id
        self.stream_id = stream_id
        self.surface = surface
        self.request = request
        self.caller = caller
        self.received_at = received_at
        self.deadline = deadline
        self.user = user
        self.tags = tags
        self.at = at
        self.watchers: list[Watcher] = []
        self.marks: list[float] = []
        self.candidates: tuple[Candidate, ...] = ()
        self.admitted: Admitted = FREE
        self.called = False
        self.record: UsageRecord | None = None
        self.head_at: float | None = None
        self._tasks = tasks
        self._settling: asyncio.Task[None] | None = None

    @property
    def candidate(self) -> Candidate:
        """The deployment that is called: the first one that had room."""
        return self.candidates[self.admitted.candidate]

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        """Let every watcher close its account, inside out, once, shielded from the caller's cancellation.

        ``None`` when all is settled; otherwise something to await, by as many as like. Either raises what a watcher
        raised, when the others have settled or are about to.
        """
        while self.watchers and self._settling is None:
            try:
                waiting = self.watchers.pop().settle(outcome)
            except Exception:
                self.settle(outcome)  # the others close their accounts all the same
                raise
            if waiting is not None:
                self._settling = self._tasks.spawn(self._settle_rest(waiting, outcome), name="settle")
        return None if self._settling is None else asyncio.shield(self._settling)

    async def _settle_rest(self, waiting: Awaitable[None], outcome: Outcome) -> None:
        try:
            await waiting
        finally:
            while self.watchers:
                if (waits := self.watchers.pop().settle(outcome)) is not None:
                    await self._settle_rest(waits, outcome)


Proceed = Callable[[Exchange], Awaitable[Reply]]


class Stage(Protocol):
    """One step on the way in: it may refuse by raising, leave a watcher, and ends in ``await proceed(exchange)``."""

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Do the stage's part and go on."""


class Row(NamedTuple):
    """The composed row: what to call with an exchange, and the names of the moments in ``Exchange.marks``."""

    proceed: Proceed
    names: tuple[str, ...]


def compose(stages: Sequence[tuple[str, Stage]], last: tuple[str, Proceed], *, now: Callable[[], float]) -> Row:
    """Link the stages once: each is handed the rest of the row, and the moment (``now``) of its beginning is marked."""
    proceed = _begin(last[1], now)
    for _, stage in reversed(stages):
        proceed = _link(stage, proceed, now)
    return Row(proceed, (*(name for name, _ in stages), last[0]))


def _link(stage: Stage, proceed: Proceed, now: Callable[[], float]) -> Proceed:
    def step(exchange: Exchange) -> Awaitable[Reply]:
        exchange.marks.append(now())
        return stage(exchange, proceed)

    return step


def _begin(last: Proceed, now: Callable[[], float]) -> Proceed:
    def step(exchange: Exchange) -> Awaitable[Reply]:
        exchange.marks.append(now())
        return last(exchange)

    return step
