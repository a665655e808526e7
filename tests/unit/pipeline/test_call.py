"""Which deployment is asked after one has failed, how often, and what the fleet learns of it."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from llm_service.admission import FREE, Admitted
from llm_service.domain import (
    Caller,
    Candidate,
    ContentFiltered,
    ContextLengthExceeded,
    DeadlineExceeded,
    InvalidValue,
    LLMServiceError,
    ModelNotFound,
    NoDeploymentAvailable,
    Outcome,
    Overloaded,
    ProviderDisabled,
    Reply,
    Settlement,
    StreamInterrupted,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamRateLimited,
    Usage,
    chat_request,
)
from llm_service.pipeline import Call, CallParts, Exchange, Hedges, TripParts
from llm_service.providers import UpstreamCall
from llm_service.routing import (
    BreakerOptions,
    Group,
    HedgeOptions,
    Hedging,
    Places,
    Ranking,
    Route,
    RoutingOptions,
    Trigger,
)
from llm_service.runtime import Tasks
from tests.support.clock import ManualClock
from tests.support.generations import ScriptedSource
from tests.support.routes import a_fleet, way
from tests.support.service import LogLines
from tests.support.waiting import loop_turns

OK = Outcome(status="ok", finish_reason="stop")
Answer = LLMServiceError | None


def down(provider: str = "a", **facts: Any) -> UpstreamError:
    return UpstreamError("down", provider=provider, **facts)


def answered(status: int) -> UpstreamError:
    error = down()
    error.status = status
    return error


def wrong_model() -> ModelNotFound:
    return ModelNotFound("there is no such model", provider="a")


def limited(retry_after_s: float | None, provider: str = "a") -> UpstreamRateLimited:
    return UpstreamRateLimited("slow down", provider=provider, retry_after_s=retry_after_s)


@dataclass
class Provider:
    """Answers each call by the next of its answers; the last one again and again."""

    name: str
    answers: list[Answer]
    calls: list[UpstreamCall] = field(default_factory=list)
    hangs: bool = False
    ended: int = 0
    gate: asyncio.Future[None] | None = None

    def let_go(self) -> None:
        """What hangs goes on."""
        assert self.gate is not None
        self.gate.set_result(None)

    async def chat(self, call: UpstreamCall) -> Reply:
        self.calls.append(call)
        if self.hangs:
            self.gate = asyncio.get_running_loop().create_future()
            try:
                await self.gate
            except asyncio.CancelledError:
                self.ended += 1
                raise
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            answer.provider = answer.provider and self.name
            raise answer.again()
        return ScriptedSource(whole=b"{}", outcome=OK)


class World:
    """Deployments of the model ``m`` at providers that a test plays."""

    def __init__(self, *groups: Group, options: RoutingOptions | None = None, **answers: Sequence[Answer]) -> None:
        self.clock = ManualClock()
        self.options = options or RoutingOptions(breaker=BreakerOptions(failures=10_000, min_requests=10_000))
        self.fleet = a_fleet(self.clock, breaker=self.options.breaker)
        self.fleet.configure(self.options, {})
        self.providers = {name: Provider(name, [*told]) for name, told in answers.items()}
        self.route = Route(groups or [Group("m", [way(name) for name in answers])], self.fleet.member)
        self.log = LogLines()
        self.off: set[str] = set()
        self.full: set[str] = set()
        self.swaps: list[tuple[str, bool]] = []
        self.retries = 2
        self.total_s = 900.0
        self.holds_settling: asyncio.Future[None] | None = None
        self.defects: list[BaseException] = []
        self.besides: list[str] = []
        self.settled: list[Settlement | None] = []
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
            options=self.options,
            max_retries=lambda name: self.retries,
            total_s=lambda name: self.total_s,
            clock=self.clock,
            dice=random.Random(1),
        )
        self.call = Call(
            CallParts(
                providers=cast(Any, self.providers),
                trip=trip,
                is_on=self.is_on,
                claim=self.claim,
                hedges=self.hedges(),
                clock=self.clock,
                log=self.log,
            )
        )

    def hedges(self) -> Hedges | None:
        if not self.options.hedge.enabled:
            return None
        self.hedging = Hedging(self.options.hedge)
        return Hedges(
            self.hedging,
            admission=cast(Any, self),
            price=lambda candidate: None,
            clock=self.clock,
            tasks=Tasks(lambda name, failure: self.defects.append(failure)),
        )

    async def beside(self, admitted: Admitted, candidate: Candidate, *, lease_id: str) -> Admitted | None:
        if candidate.provider in self.full:
            return None
        self.besides.append(f"{lease_id} at {candidate.provider}")
        return replace(FREE, cap=1)

    async def settle(self, admitted: Admitted, settlement: Settlement | None) -> None:
        if self.holds_settling is not None:
            await self.holds_settling
        self.settled.append(settlement)

    def is_on(self, name: str) -> bool:
        return name not in self.off

    async def claim(self, breaker: object, permit: int) -> int:
        return permit

    async def swap(self, admitted: Admitted, candidate: Candidate, *, called: bool) -> Admitted | None:
        if candidate.provider in self.full:
            return None
        self.swaps.append((candidate.provider, called))
        return replace(admitted)

    def exchange(self, *, deadline_s: float | None = None) -> Exchange:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        now = self.clock.monotonic()
        exchange = Exchange(
            id="req_1",
            stream_id="str_1",
            surface="rest",
            request=chat_request(body, 60),
            caller=Caller(key_id="key_1", scopes=frozenset()),
            tasks=Tasks(lambda name, failure: pytest.fail(name)),
            received_at=now,
            deadline=None if deadline_s is None else now + deadline_s,
        )
        exchange.admitted = FREE
        exchange.route = self.route
        exchange.order = self.route.plain
        return exchange

    async def ask(self, *, deadline_s: float | None = None) -> Exchange:
        """One request, with all the time that it takes. Raises what its client is told."""
        exchange = self.exchange(deadline_s=deadline_s)
        task = asyncio.get_running_loop().create_task(self.call(exchange))
        for _ in range(100):
            await loop_turns(10)
            if task.done():
                break
            self.clock.advance(0.1)
        await task
        exchange.settle(OK)
        return exchange

    def asked(self) -> str:
        """Whom the attempts went to, in their order of the providers' names."""
        return " ".join(f"{name}{len(one.calls)}" for name, one in self.providers.items() if one.calls)


def names(exchange: Exchange) -> list[str]:
    return [one.candidate.provider for one in exchange.tries]


async def test_the_first_that_answers_is_the_one() -> None:
    world = World(a=[None], b=[None])
    exchange = await world.ask()
    assert (names(exchange), exchange.candidate.provider, world.swaps) == (["a"], "a", [])


async def test_an_answer_that_was_shortened_is_asked_for_at_that_length() -> None:
    world = World(a=[None])
    exchange = world.exchange()
    exchange.output_cap = 300
    await world.call(exchange)
    assert [call.output_cap for call in world.providers["a"].calls] == [300]
    exchange.settle(OK)


async def test_another_deployment_of_the_model_is_asked_at_once() -> None:
    world = World(a=[down()], b=[None])
    exchange = await world.ask()
    assert (names(exchange), exchange.tries[0].error_code) == (["a", "b"], "upstream_error")
    assert world.swaps == [("b", True)]
    assert exchange.tries[1].begun_at == exchange.tries[0].begun_at  # nothing was waited for


async def test_a_failed_attempt_does_not_keep_the_frames_that_keep_it() -> None:
    failed = down()
    await World(a=[failed], b=[None]).ask()
    assert failed.__traceback__ is None


async def test_a_failed_attempt_keeps_what_its_provider_bills() -> None:
    billed = down()
    billed.usage = Usage(input_tokens=3, output_tokens=4)
    world = World(a=[billed], b=[None])
    first, second = (await world.ask()).tries
    assert (first.usage, second.usage) == (billed.usage, None)


async def test_a_single_deployment_is_asked_again_after_pauses_and_not_too_often() -> None:
    world = World(a=[down()])
    with pytest.raises(UpstreamError):
        await world.ask()
    assert world.asked() == "a3"
    assert world.swaps == [("a", True), ("a", True)]


async def test_each_pause_is_at_random_and_may_be_twice_as_long_as_the_one_before() -> None:
    pauses: list[list[float]] = []
    for seed in range(30):
        world = World(a=[down(), down(), None])
        world.call._parts.trip.dice.seed(seed)
        tries = (await world.ask()).tries
        pauses.append([later.begun_at - earlier.begun_at for earlier, later in itertools.pairwise(tries)])
    assert all(first <= 0.35 and second <= 0.6 for first, second in pauses)  # the clock goes by tenths
    assert len({first for first, _ in pauses}) > 2
    assert max(second for _, second in pauses) > 0.3


async def test_the_budget_of_retries_holds_for_all_requests_of_a_provider() -> None:
    world = World(a=[down()], options=RoutingOptions(retry_budget=0.0, retry_budget_min=3, breaker=LENIENT))
    for _ in range(5):
        with pytest.raises(UpstreamError):
            await world.ask()
    assert len(world.providers["a"].calls) == 5 + 3


@pytest.mark.parametrize(
    ("error", "is_fault"),
    [
        (down(), True),
        (answered(502), True),
        (answered(401), True),
        (answered(400), False),
        (limited(60), False),
        (wrong_model(), False),
    ],
)
async def test_an_attempt_is_the_providers_fault_where_its_figures_say_so(error: Any, is_fault: bool) -> None:
    world = World(a=[error], b=[None])
    (attempt, _) = (await world.ask()).tries[-2:]
    failures = world.fleet.figures("a", world.clock.monotonic()).failures
    assert (attempt.is_fault, failures > 0) == (is_fault, is_fault)


@pytest.mark.parametrize(("retry_after_s", "calls"), [(1.5, 2), (2.5, 1)])
async def test_retry_after_is_waited_for_up_to_a_bound_and_else_passed_on(retry_after_s: float, calls: int) -> None:
    world = World(a=[limited(retry_after_s), None])
    if calls == 1:
        with pytest.raises(UpstreamRateLimited):
            await world.ask()
    else:
        first, second = (await world.ask()).tries
        assert second.begun_at - first.begun_at >= retry_after_s
    assert len(world.providers["a"].calls) == calls


async def test_after_a_long_retry_after_a_model_that_stands_in_is_asked() -> None:
    groups = Group("m", [way("a")]), Group("n", [way("b")])
    world = World(*groups, a=[limited(60)], b=[None])
    exchange = await world.ask()
    assert (names(exchange), exchange.stands_in) == (["a", "b"], True)


async def test_nothing_is_waited_for_beyond_the_deadline() -> None:
    world = World(a=[limited(1.5), None])
    with pytest.raises(UpstreamRateLimited):
        await world.ask(deadline_s=1.0)
    assert world.asked() == "a1"


async def test_models_stand_in_only_when_nobody_of_the_model_can_and_retries_are_over() -> None:
    groups = Group("m", [way("a"), way("b")]), Group("n", [way("c")])
    world = World(*groups, a=[down("a")], b=[down("b")], c=[None])
    exchange = await world.ask()
    assert names(exchange) == ["a", "b", "b", "b", "c"]


@pytest.mark.parametrize(
    ("error", "trigger"),
    [
        (ContextLengthExceeded("too long", provider="a"), "context"),
        (ContentFiltered("no", provider="a"), "content"),
    ],
)
async def test_there_are_models_for_what_the_prompt_is(error: LLMServiceError, trigger: Trigger) -> None:
    groups = Group("m", [way("a"), way("b")]), Group("n", [way("c")], trigger=trigger)
    world = World(*groups, a=[error], b=[None], c=[None])
    assert names(await world.ask()) == ["a", "c"]
    other = "content" if trigger == "context" else "context"
    groups = Group("m", [way("a"), way("b")]), Group("n", [way("c")], trigger=other)
    world = World(*groups, a=[error], b=[None], c=[None])
    with pytest.raises(type(error)):
        await world.ask()
    assert world.asked() == "a1"


async def test_models_for_long_prompts_are_not_asked_for_other_failures() -> None:
    groups = Group("m", [way("a")]), Group("n", [way("c")], trigger="context")
    world = World(*groups, a=[down()], c=[None])
    with pytest.raises(UpstreamError):
        await world.ask()
    assert "c" not in world.asked()


@pytest.mark.parametrize("error", [InvalidValue("bad", provider="a"), DeadlineExceeded("late")])
async def test_what_nobody_would_answer_better_is_asked_once(error: LLMServiceError) -> None:
    world = World(a=[error], b=[None])
    with pytest.raises(type(error)):
        await world.ask()
    assert world.asked() == "a1"


async def test_what_a_model_that_stands_in_cannot_do_says_nothing_of_the_request() -> None:
    groups = Group("m", [way("a")]), Group("n", [way("b")]), Group("o", [way("c")])
    world = World(*groups, a=[UpstreamAuthFailed("key", provider="a")], b=[InvalidValue("no", provider="b")], c=[None])
    assert names(await world.ask()) == ["a", "b", "c"]
    world = World(
        *groups, a=[UpstreamAuthFailed("key", provider="a")], b=[InvalidValue("no", provider="b")], c=[down("c")]
    )
    world.retries = 0
    with pytest.raises(UpstreamError, match="down"):
        await world.ask()


async def test_who_has_no_room_in_its_provider_s_limits_is_passed_over() -> None:
    world = World(a=[down()], b=[None], c=[None])
    world.full = {"b"}
    assert names(await world.ask()) == ["a", "c"]


async def test_who_is_switched_off_is_passed_over_and_told_where_nobody_else_is() -> None:
    world = World(a=[None], b=[None])
    world.off = {"a"}
    assert names(await world.ask()) == ["b"]
    world.off = {"a", "b"}
    with pytest.raises(ProviderDisabled):
        await world.ask()


async def test_an_attempt_without_content_moves_on_when_its_provider_is_switched_off() -> None:
    world = World(a=[None], b=[None])
    world.providers["a"].hangs = True
    task = asyncio.get_running_loop().create_task(world.call(exchange := world.exchange()))
    await loop_turns(10)
    world.off = {"a"}
    world.fleet.call_off("a")
    await task
    assert (names(exchange), world.providers["a"].ended) == (["a", "b"], 1)
    assert [one.error_code for one in exchange.tries] == ["provider_disabled", None]
    exchange.settle(OK)


async def test_a_client_that_leaves_ends_the_attempt_and_nothing_follows() -> None:
    world = World(a=[None], b=[None])
    world.providers["a"].hangs = True
    task = asyncio.get_running_loop().create_task(world.call(exchange := world.exchange()))
    await loop_turns(10)
    world.fleet.call_off("a")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (names(exchange), world.providers["b"].calls) == (["a"], [])
    assert [one.error_code for one in exchange.tries] == ["aborted"]
    assert [member.in_flight for member in world.route.members] == [0, 0]


async def test_a_broken_deployment_is_left_alone_until_one_request_tries_it() -> None:
    world = World(a=[down()], options=RoutingOptions(retry_budget_min=0, breaker=BreakerOptions(failures=3)))
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await world.ask()
    with pytest.raises(NoDeploymentAvailable) as refused:
        await world.ask()
    assert refused.value.retry_after_s == pytest.approx(1.0, abs=0.2)
    assert len(world.providers["a"].calls) == 3
    world.clock.advance(1.1)
    world.providers["a"].answers = [None]
    assert names(await world.ask()) == ["a"]
    assert names(await world.ask()) == ["a"]
    assert world.route.members[0].breaker.closed


async def test_a_provider_s_limit_lets_requests_through_where_there_is_nobody_else() -> None:
    world = World(a=[limited(20)])
    for _ in range(3):
        with pytest.raises(UpstreamRateLimited):
            await world.ask()
    assert world.asked() == "a3"


async def test_an_answer_that_breaks_off_counts_against_its_deployment() -> None:
    world = World(a=[None], options=RoutingOptions(breaker=BreakerOptions(failures=2)))
    for _ in range(2):
        exchange = world.exchange()
        await world.call(exchange)
        exchange.settle(Outcome(status="error", error=StreamInterrupted("cut", provider="a")))
    assert world.route.members[0].breaker.broken
    assert exchange.tries[-1].is_fault
    assert world.fleet.figures("a", world.clock.monotonic()).failures == 2


async def test_places_at_a_provider_are_given_back_however_it_ends() -> None:
    world = World(a=[down(), None, None])
    world.fleet.configure(world.options, {"a": Places(max_concurrency=1)})
    exchange = await world.ask()
    assert names(exchange) == ["a", "a"]
    assert world.fleet.home("a").in_flight == 0
    first = world.exchange()
    await world.call(first)
    waiting = asyncio.get_running_loop().create_task(world.call(second := world.exchange()))
    await loop_turns(5)
    assert not waiting.done()
    world.clock.advance(0.5)
    first.settle(OK)
    await waiting
    assert second.queue_s == pytest.approx(0.5)
    second.settle(OK)
    assert world.fleet.home("a").in_flight == 0


async def test_a_request_s_own_list_of_models_is_not_sent_where_it_is_followed_here() -> None:
    world = World(a=[down()], b=[None])
    world.route.is_ours = True
    world.retries = 0
    exchange = world.exchange()
    exchange.request = chat_request({**exchange.request.body, "models": ["a/m", "b/m"]}, 60)
    await world.call(exchange)
    assert [("models" in call.request.body, call.request.models) for call in world.providers["b"].calls] == [
        (False, ())
    ]
    exchange.settle(OK)


LENIENT = BreakerOptions(failures=10_000, min_requests=10_000)

HEDGED = RoutingOptions(hedge=HedgeOptions(enabled=True, max_requests=1.0), breaker=LENIENT)


def used_to(world: World, seconds: float) -> None:
    """Its deployments took so long lately."""
    for member in world.route.members:
        for _ in range(30):
            member.answered(seconds, world.clock.monotonic(), stream=False)


async def begun(world: World) -> tuple[Exchange, "asyncio.Task[Reply]"]:
    exchange = world.exchange()
    task = asyncio.get_running_loop().create_task(world.call(exchange))
    await loop_turns(10)
    return exchange, task


async def test_a_late_attempt_gets_a_second_one_beside_it_and_the_first_answer_wins() -> None:
    world = World(a=[None], b=[None], options=HEDGED)
    used_to(world, 0.2)
    world.providers["a"].hangs = True
    exchange, task = await begun(world)
    world.clock.advance(0.15)
    await loop_turns(20)
    assert not world.providers["b"].calls
    world.clock.advance(0.1)
    await loop_turns(30)
    await task
    assert (names(exchange), exchange.candidate.provider) == (["a", "b"], "b")
    assert [one.error_code for one in exchange.tries] == ["lost", None]
    assert (world.providers["a"].ended, world.besides) == (1, ["req_1.second at b"])
    assert (world.settled, world.swaps) == ([None], [("b", True)])  # its own lease goes back, the request's goes over
    exchange.settle(OK)
    assert [member.in_flight for member in world.route.members] == [0, 0]
    assert world.defects == []


async def test_an_attempt_that_is_in_time_has_none_beside_it() -> None:
    world = World(a=[None], b=[None], options=HEDGED)
    used_to(world, 0.2)
    assert names(await world.ask()) == ["a"]
    assert (world.besides, world.settled) == ([], [])


async def test_a_second_attempt_that_loses_keeps_the_permit_of_its_provider() -> None:
    world = World(a=[None], b=[None], options=HEDGED)
    used_to(world, 0.2)
    for provider in world.providers.values():
        provider.hangs = True
    exchange, task = await begun(world)
    world.clock.advance(0.3)
    await loop_turns(30)
    world.providers["a"].let_go()
    await loop_turns(30)
    await task
    assert (names(exchange), exchange.candidate.provider) == (["a", "b"], "a")
    assert world.settled == [Settlement(tokens=0, nano_usd=0, provider=True)]
    assert (world.providers["b"].ended, world.swaps) == (1, [])
    exchange.settle(OK)
    assert [member.in_flight for member in world.route.members] == [0, 0]


async def test_without_room_for_a_second_attempt_the_first_one_is_waited_for() -> None:
    world = World(a=[None], b=[None], options=HEDGED)
    used_to(world, 0.2)
    world.full = {"b"}
    world.providers["a"].hangs = True
    exchange, task = await begun(world)
    world.clock.advance(0.3)
    await loop_turns(30)
    world.providers["a"].let_go()
    await loop_turns(30)
    await task
    assert names(exchange) == ["a"]
    exchange.settle(OK)


async def test_a_client_that_leaves_ends_both_attempts() -> None:
    world = World(a=[None], b=[None], options=HEDGED)
    used_to(world, 0.2)
    for provider in world.providers.values():
        provider.hangs = True
    exchange, task = await begun(world)
    world.clock.advance(0.3)
    await loop_turns(30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [provider.ended for provider in world.providers.values()] == [1, 1]
    exchange.settle(Outcome(status="aborted"))
    assert [member.in_flight for member in world.route.members] == [0, 0]
    assert len(world.settled) == 1


async def test_when_both_fail_the_rest_of_the_route_is_asked() -> None:
    world = World(a=[down("a")], b=[down("b")], c=[None], options=HEDGED)
    used_to(world, 0.2)
    world.providers["a"].hangs = True
    exchange, task = await begun(world)
    world.clock.advance(0.3)
    await loop_turns(30)
    world.providers["a"].let_go()
    await loop_turns(60)
    await task
    assert names(exchange) == ["a", "b", "c"]
    exchange.settle(OK)


async def test_another_key_of_the_operator_s_is_used_at_once_and_the_deployment_is_not_blamed() -> None:
    refused = limited(30)
    refused.other_key = True
    world = World(a=[refused, None], b=[None])
    exchange = await world.ask()
    assert names(exchange) == ["a", "a"]
    assert exchange.tries[1].begun_at == exchange.tries[0].begun_at
    assert world.route.members[0].breaker.ready(world.clock.monotonic())


async def test_who_comes_back_to_a_provider_pays_for_it_whoever_was_asked_in_between() -> None:
    ways = [way(name, f"m{number}") for number in range(10) for name in "ab"]
    groups = [Group(f"g{number}", [one]) for number, one in enumerate(ways)]
    world = World(*groups, a=[ModelNotFound("no", provider="a")], b=[down("b", retryable=False)])
    with pytest.raises(LLMServiceError):
        await world.ask()
    assert world.asked() == "a3 b3"


@pytest.mark.parametrize(("retries", "asked"), [(2, "m1 m1 m2"), (1, "m1 m2"), (0, "m1"), (3, "m1 m1 m1 m2")])
async def test_the_last_retry_is_for_a_model_that_stands_in_at_the_same_provider(retries: int, asked: str) -> None:
    world = World(Group("m", [way("a", "m1")]), Group("n", [way("a", "m2")]), a=[down("a")])
    world.retries = retries
    exchange = world.exchange()
    world.exchange = lambda **_: exchange  # type: ignore[method-assign,assignment]  # to look at when it has failed
    with pytest.raises(UpstreamError):
        await world.ask()
    assert " ".join(one.candidate.upstream_model for one in exchange.tries) == asked


async def test_who_waits_for_a_place_is_not_sent_to_a_provider_that_was_switched_off_meanwhile() -> None:
    world = World(a=[None], b=[None])
    world.fleet.configure(world.options, {"a": Places(max_concurrency=1)})
    await world.call(first := world.exchange())
    waiting = asyncio.get_running_loop().create_task(world.call(second := world.exchange()))
    await loop_turns(5)
    world.off = {"a"}
    first.settle(OK)
    await waiting
    assert (names(second), world.fleet.home("a").in_flight) == (["b"], 0)
    second.settle(OK)


async def test_what_was_refused_here_and_never_sent_says_nothing_of_the_deployment() -> None:
    world = World(a=[down()], options=RoutingOptions(retry_budget_min=0, breaker=BreakerOptions(failures=1)))
    with pytest.raises(UpstreamError):
        await world.ask()
    world.clock.advance(1.1)
    world.providers["a"].answers = [InvalidValue("deepseek has no embeddings")]
    exchange = world.exchange()
    with pytest.raises(InvalidValue):
        await world.call(exchange)
    assert (exchange.tries, world.route.members[0].breaker.broken) == ([], True)


async def test_a_wait_for_a_place_counts_towards_the_time_of_a_request_at_its_provider() -> None:
    world = World(a=[None])
    world.total_s = 3.0
    world.fleet.configure(world.options, {"a": Places(max_concurrency=1, max_wait_s=60)})
    await world.call(first := world.exchange())
    waiting = asyncio.get_running_loop().create_task(world.call(second := world.exchange()))
    await loop_turns(5)
    world.clock.advance(3.1)
    with pytest.raises(Overloaded):
        await waiting
    assert second.queue_s == pytest.approx(3.1)
    first.settle(OK)


async def test_an_attempt_that_had_not_begun_when_another_won_has_lost_nothing() -> None:
    world = World(a=[None], b=[None], options=HEDGED)
    used_to(world, 0.2)
    world.fleet.configure(world.options, {"a": Places(max_concurrency=1)})
    assert world.fleet.home("a").bulkhead.try_enter()
    exchange, task = await begun(world)
    world.clock.advance(0.3)
    await loop_turns(30)
    await task
    assert [(one.candidate.provider, one.error_code) for one in exchange.tries] == [("b", None)]
    exchange.settle(OK)


async def test_a_client_that_leaves_while_a_race_is_closed_leaves_no_answer_open() -> None:
    world = World(a=[None], b=[None], options=HEDGED)
    used_to(world, 0.2)
    world.providers["a"].hangs = True
    world.holds_settling = asyncio.get_running_loop().create_future()
    exchange, task = await begun(world)
    world.clock.advance(0.3)
    await loop_turns(40)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    exchange.settle(Outcome(status="aborted"))
    assert [member.in_flight for member in world.route.members] == [0, 0]
    assert world.fleet.home("b").in_flight == 0


async def test_a_tag_of_the_request_holds_for_those_that_stand_in_too() -> None:
    groups = (
        Group("m", [way("a", tags=("eu",))]),
        Group("n", [way("b"), way("c", tags=("eu",))], trigger="content"),
    )
    world = World(*groups, a=[ContentFiltered("no", provider="a")], b=[None], c=[None])
    exchange = world.exchange()
    exchange.tags = {"route": "eu"}
    await world.call(exchange)
    assert names(exchange) == ["a", "c"]
    exchange.settle(OK)
