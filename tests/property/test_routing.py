"""Retries, fallbacks and second attempts under any schedule of failures: one answer a client, and one record of it."""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.admission import Admitted, Held
from llm_service.domain import (
    Candidate,
    ContentFiltered,
    ContextLengthExceeded,
    DeadlineExceeded,
    InvalidValue,
    Lease,
    LLMServiceError,
    ModelNotFound,
    Outcome,
    Reply,
    Settlement,
    StreamInterrupted,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from llm_service.pipeline import Call, CallParts, Exchange, Hedges, Proceed, TripParts
from llm_service.providers import UpstreamCall
from llm_service.routing import BreakerOptions, Group, HedgeOptions, Hedging, Ranking, Route, RoutingOptions
from llm_service.runtime import DONE
from llm_service.storage import LimitStore
from tests.support.generations import ScriptedSource
from tests.support.routes import a_fleet, way
from tests.support.row import FINISH, PAID, TURNS, USAGE, Client, World
from tests.support.waiting import loop_turns

OPTIONS: Final = RoutingOptions(breaker=BreakerOptions(failures=3, open_s=1.0))
MAX_RETRIES: Final = 2
HEDGE: Final = HedgeOptions(enabled=True, min_delay_s=0.5, max_requests=1.0, max_cost=1.0)
USUAL_S: Final = 0.05
"""What answers took lately; as many of them as it takes to know."""
USUALLY: Final = 20
REFUSALS: Final[Sequence[tuple[LLMServiceError, int | None]]] = (
    (UpstreamError("down"), 503),
    (UpstreamError("no connection"), None),
    (UpstreamTimeout("too late"), None),
    (UpstreamRateLimited("slow down", retry_after_s=0.5), 429),
    (UpstreamRateLimited("slow down", retry_after_s=60.0), 429),
    (UpstreamAuthFailed("no"), 401),
    (ModelNotFound("no"), None),
    (ContextLengthExceeded("too long"), None),
    (ContentFiltered("no"), None),
    (InvalidValue("no"), None),
)
"""What a provider may say before its first content, and by which status."""


class Upstream:
    """One call of a provider: it says what nobody else says."""

    def __init__(self, number: int, provider: str, call: UpstreamCall, *, stream: bool) -> None:
        self.number = number
        self.provider = provider
        self.request_id = call.request_id
        self.stream = stream
        self.answer: asyncio.Future[ScriptedSource] = asyncio.get_running_loop().create_future()
        self.source: ScriptedSource | None = None
        self.given_up = False

    @property
    def waits(self) -> bool:
        """Nothing has come of it yet."""
        return not self.answer.done() and not self.given_up

    @property
    def runs(self) -> bool:
        """It streams."""
        return self.source is not None and self.source.outcome is None

    @property
    def is_over(self) -> bool:
        return self.given_up or (self.answer.done() and not self.runs)

    def chunk(self) -> bytes:
        return b'{"choices":[{"index":0,"delta":{"content":"call %d."}}]}' % self.number

    def whole(self) -> bytes:
        message = b'{"role":"assistant","content":"call %d."}' % self.number
        return b'{"choices":[{"index":0,"message":%b,"finish_reason":"stop"}]}' % message

    def refuses(self, how: int) -> None:
        error, status = REFUSALS[how % len(REFUSALS)]
        told = error.again()
        told.provider = self.provider
        if isinstance(told, UpstreamError):
            told.status = status
        self.answer.set_exception(told)

    def begins(self) -> None:
        if not self.stream:
            self.answer.set_result(ScriptedSource(whole=self.whole(), outcome=PAID))
            return
        self.source = ScriptedSource()
        self.source.say(self.chunk())
        self.answer.set_result(self.source)

    def goes_on(self) -> None:
        assert self.source is not None
        self.source.say(self.chunk())

    def breaks(self) -> None:
        assert self.source is not None
        error = StreamInterrupted("cut", provider=self.provider)
        self.source.say(error=error)
        self.source.finish(Outcome(status="error", error=error, upstream_id="gen_1"))

    def ends(self) -> None:
        assert self.source is not None
        self.source.say(FINISH, USAGE, kinds=("finish", "usage"))
        self.source.finish(PAID)


class Played:
    """A provider that a test plays."""

    def __init__(self, name: str, world: "Routed") -> None:
        self._name = name
        self._world = world

    async def chat(self, call: UpstreamCall) -> Reply:
        upstream = Upstream(len(self._world.upstreams), self._name, call, stream=call.request.stream)
        self._world.called(upstream)
        try:
            return await upstream.answer
        except asyncio.CancelledError:
            upstream.given_up = True
            raise


class Routed(World):
    """The row with a model of three deployments, a model that stands in, and one for long prompts."""

    def __init__(self, *, hedges: bool) -> None:
        super().__init__()
        self.hedges = hedges
        self.upstreams: list[Upstream] = []
        self.had_content: set[str] = set()
        """The requests that some client has content of: nothing may be tried for them any more."""
        self.off: set[str] = set()
        self.fleet = a_fleet(self.clock, breaker=OPTIONS.breaker)
        self.fleet.configure(OPTIONS, {})
        groups = [
            Group("m", [way("a"), way("b"), way("a", "n")]),
            Group("spare", [way("c")]),
            Group("long", [way("d")], trigger="context"),
        ]
        self.route = Route(groups, self.fleet.member)
        self.full: set[str] = set()
        """Providers whose limits have no room for a second attempt."""
        self.asking = Call(self._parts())
        self.is_usual()

    def _parts(self) -> CallParts:
        ranking = Ranking(
            known=lambda provider, model: None,
            price=lambda candidate: None,
            is_on=self.is_on,
            clock=self.clock,
            dice=random.Random(1),
        )
        trip = TripParts(
            admission=cast(Any, self),
            ranking=ranking,
            options=OPTIONS,
            max_retries=lambda name: MAX_RETRIES,
            total_s=lambda name: 900.0,
            clock=self.clock,
            dice=random.Random(1),
        )
        return CallParts(
            providers=cast(Any, {name: Played(name, self) for name in "abcd"}),
            trip=trip,
            is_on=self.is_on,
            claim=self.claim,
            hedges=self._hedges() if self.hedges else None,
            clock=self.clock,
            log=self.log,
        )

    def _hedges(self) -> Hedges:
        return Hedges(
            Hedging(HEDGE),
            admission=cast(Any, self),
            price=lambda candidate: None,
            clock=self.clock,
            tasks=self.tasks,
        )

    def is_usual(self) -> None:
        """Answers came soon lately, so that it is known when one is late."""
        for member in self.route.members:
            for _ in range(USUALLY):
                member.times.add(USUAL_S, self.clock.monotonic())
                member.whole_times.add(USUAL_S, self.clock.monotonic())

    def is_on(self, name: str) -> bool:
        return name not in self.off

    async def claim(self, breaker: object, permit: int) -> int:
        return permit

    async def swap(self, admitted: Admitted, candidate: Candidate, *, called: bool) -> Admitted | None:
        return replace(admitted)

    async def beside(self, admitted: Admitted, candidate: Candidate, *, lease_id: str) -> Admitted | None:
        if candidate.provider in self.full:
            return None
        lease = Lease(lease_id, callers=[], candidate=0, provider=[], second=0)
        self.told.append((f"beside {lease_id}", candidate))
        return Admitted(held=Held(lease, cast(LimitStore, object()), "a life"))

    def settle(self, admitted: Admitted, settlement: Settlement | None) -> Awaitable[None]:
        assert admitted.held is not None
        if admitted.held.lease.id.endswith(".second"):  # one that has won gives all back, for the request's goes over
            self.told.append((f"settlement {admitted.held.lease.id}", settlement))
            return DONE
        return super().settle(admitted, settlement)

    async def resolve(self, exchange: Exchange, proceed: Proceed) -> Reply:
        exchange.route = self.route
        exchange.order = self.route.plain
        return await proceed(exchange)

    async def call(self, exchange: Exchange) -> Reply:
        return await self.asking(exchange)

    # -- what must hold at every moment

    def called(self, upstream: Upstream) -> None:
        """A provider is asked."""
        assert upstream.request_id not in self.had_content, "a client has content, and another upstream is asked"
        others = self.of_request(upstream.request_id)
        beside = len(self.of(f"{upstream.request_id}.second", "beside"))
        assert sum(not one.is_over for one in others) <= beside, "one call at a time, or a second one beside the first"
        assert len(others) <= 1 or all(one.is_over for one in others[1:]), "nothing beside a later attempt"
        assert sum(one.provider == upstream.provider for one in others) <= MAX_RETRIES + beside
        self.upstreams.append(upstream)

    def of_request(self, request_id: str) -> list[Upstream]:
        return [one for one in self.upstreams if one.request_id == request_id]

    def look(self) -> None:
        """What clients have by now is of one call each."""
        for client in self.clients:
            calls = numbers_in(client)
            assert len(calls) <= 1, f"of several calls: {calls}"
            if calls:
                self.had_content.add(client.exchange.id)
                others = [one for one in self.of_request(client.exchange.id) if one.number not in calls]
                assert all(one.is_over for one in others), "an attempt that has lost goes on"

    def check_end(self) -> None:
        """Everybody has gone: nothing runs, and each request has its one record, of the one that answered it."""
        self.check_all_closed()
        assert all(one.is_over for one in self.upstreams)
        assert all(member.in_flight == 0 for member in self.route.members)
        assert all(member.home.in_flight == 0 for member in self.route.members)
        for client in self.clients:
            self._check_record(client)
            second = f"{client.exchange.id}.second"
            assert len(self.of(second, "beside")) == len(self.of(second, "settlement")) <= 1

    def _check_record(self, client: Client) -> None:
        (record,) = self.of(client.exchange.id, "record")
        calls = self.of_request(client.exchange.id)
        assert record.attempts == len(calls) == len(client.exchange.tries)
        if (numbers := numbers_in(client)) and record.status != "aborted":
            (number,) = numbers
            assert record.provider == self.upstreams[number].provider
        if client.has_all:
            assert record.status == "ok"


def numbers_in(client: Client) -> set[int]:
    """The calls whose content a client has."""
    pieces = [event.raw for event in client.reader.events]
    if client.whole is not None:
        pieces.append(client.whole)
    return {int(part.split(b".")[0]) for piece in pieces for part in piece.split(b"call ")[1:]}


Step = tuple[str, int, int]
"""What happens, to which of those to whom it can, and how."""


async def play(steps: Sequence[Step], *, hedges: bool) -> None:
    world = Routed(hedges=hedges)
    for step in steps:
        await happen(world, *step)
        await loop_turns(TURNS)
        world.look()
    await finish(world)


async def happen(world: Routed, what: str, which: int, how: int) -> None:
    """One step; to nobody, where there is nobody to whom it can happen."""
    waiting = some([one for one in world.upstreams if one.waits], which)
    running = some([one for one in world.upstreams if one.runs], which)
    served = some([one for one in world.clients if not one.has_all], which)
    if what == "asks":
        text = f"text {len(world.clients)}"
        await world.ask(stream=which % 2 == 0, text=text, deadline_s=(None, 3.0)[how % 2])
    elif what == "time passes":
        passes(world, (0.1, 0.6, 2.0, 5.0)[how % 4])
    elif what == "has or has no room":
        world.full ^= {"abcd"[which % 4]}
    elif what == "goes off or on":
        switch(world, "abcd"[which % 4])
    elif what == "leaves" and served is not None:
        await served.hang_up()
    elif what == "refuses" and waiting is not None:
        waiting.refuses(how)
    elif what == "begins" and waiting is not None:
        waiting.begins()
    elif what in STREAMED and running is not None:
        STREAMED[what](running)


STREAMED: Final = MappingProxyType({"goes on": Upstream.goes_on, "breaks": Upstream.breaks, "ends": Upstream.ends})


def switch(world: Routed, name: str) -> None:
    """An operator takes a provider out, or in again."""
    world.off ^= {name}
    if name in world.off:
        world.fleet.call_off(name)


def passes(world: Routed, seconds: float) -> None:
    """Time goes on; a call ends with the deadline of its request, as the sender of providers has it."""
    world.clock.advance(seconds)
    deadlines = {client.exchange.id: client.exchange.deadline for client in world.clients}
    for upstream in world.upstreams:
        deadline = deadlines[upstream.request_id]
        if upstream.waits and deadline is not None and world.clock.monotonic() >= deadline:
            upstream.answer.set_exception(DeadlineExceeded("over"))


async def finish(world: Routed) -> None:
    """All that still runs comes to its end."""
    world.off.clear()
    for _ in range(200):
        for upstream in world.upstreams:
            if upstream.waits:
                upstream.begins()
        await loop_turns(TURNS)
        world.look()
        for upstream in world.upstreams:
            if upstream.runs:
                upstream.ends()
        passes(world, 1.0)
        await loop_turns(TURNS)
        world.look()
        if all(client.task.done() for client in world.clients) and all(one.is_over for one in world.upstreams):
            break
    world.check_end()


def some(those: Sequence[Any], which: int) -> Any:
    return those[which % len(those)] if those else None


WHAT: Final = (
    "asks",
    "leaves",
    "time passes",
    "goes off or on",
    "has or has no room",
    "refuses",
    "refuses",
    "begins",
    "goes on",
    "breaks",
    "ends",
)
steps_ = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 11), st.integers(0, 39)), max_size=40)


@settings(max_examples=max(300, settings().max_examples))
@pytest.mark.parametrize("hedges", [False, True], ids=["alone", "hedged"])
@given(steps=steps_)
def test_no_schedule_of_failures_gives_two_answers_a_late_retry_or_a_lost_record(
    steps: list[Step],
    hedges: bool,
) -> None:
    asyncio.run(play([("asks", 0, 0), ("asks", 1, 1), *steps], hedges=hedges))


def test_a_late_attempt_does_get_a_second_one_here() -> None:
    """Else the test above would say nothing of them."""

    async def late() -> Routed:
        world = Routed(hedges=True)
        await world.ask(stream=True, text="text 0")
        passes(world, 0.6)
        await loop_turns(TURNS)
        first, second = world.upstreams
        assert (first.waits, second.waits) == (True, True)
        second.begins()
        await loop_turns(TURNS)
        world.look()
        assert first.given_up
        await finish(world)
        return world

    world = asyncio.run(late())
    assert [world.clients[0].record.attempts, world.clients[0].record.provider] == [2, "b"]
