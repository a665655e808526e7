"""Holds the cost of choosing a deployment: each part within a limit of its own, some twice what it takes."""

import asyncio
import gc
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast, get_args

from llm_service.admission import Admission
from llm_service.domain import (
    Caller,
    Candidate,
    Head,
    ModelInfo,
    ModelRequest,
    Outcome,
    Reply,
    Sink,
    Subscription,
    chat_request,
)
from llm_service.observability import Log
from llm_service.pipeline import Call, CallParts, Exchange, Rank, TripParts
from llm_service.providers import UpstreamCall
from llm_service.routing import (
    Breakers,
    Fleet,
    Group,
    Needs,
    PeakEwma,
    Ranking,
    RecentTimes,
    Route,
    RoutingOptions,
    Strategy,
    Way,
    order,
    preferred,
    prefix_digest,
    unfit,
)
from llm_service.runtime import SystemClock, Tasks

CALLS = 1_000
ATTEMPT_LIMIT_US = 15.0
DONE = Outcome(status="ok")
CALLER = Caller(key_id="key_1", scopes=frozenset())
REPEATS = 20
TRIES = 20
STRATEGIES: Sequence[Strategy] = get_args(Strategy)
INFO = ModelInfo(
    id="careful",
    owned_by="a",
    context_tokens=128_000,
    max_output_tokens=32_000,
    parameters=("max_tokens", "response_format", "structured_outputs", "tools"),
    input_modalities=("text", "image"),
)


class Case(NamedTuple):
    """Something to call, and what one call may cost."""

    name: str
    limit_us: float
    call: Callable[[], object]


class Stand:
    """A deployment's standing as the fleet keeps it."""

    __slots__ = ("in_flight", "latency")

    def __init__(self, in_flight: int) -> None:
        self.in_flight = in_flight
        ewma = PeakEwma()
        ewma.observe(0.3, 0.0)
        self.latency = ewma.value


def row(count: int) -> tuple[Sequence[Way], Sequence[Stand]]:
    ways = [
        Way(candidate=Candidate(provider=f"provider-{place}", upstream_model="careful"), weight=1.0 + place)
        for place in range(count)
    ]
    return ways, [Stand(place) for place in range(count)]


def orders(count: int, limit_us: float) -> Sequence[Case]:
    ways, standings = row(count)
    dice = random.Random(0)  # noqa: S311 - not for secrets
    prices = dict(enumerate(range(100, 100 + count)))

    def case(strategy: Strategy) -> Case:
        return Case(
            f"order by {strategy}, {count} ways",
            limit_us,
            lambda: order(strategy, ways, standings, now=1.0, dice=dice, cost=prices.get),
        )

    return [case(strategy) for strategy in STRATEGIES]


def conversation(messages: int) -> ModelRequest:
    said = [{"role": ("user", "assistant")[number % 2], "content": "word " * 100} for number in range(messages)]
    return chat_request({"model": "careful", "messages": [{"role": "system", "content": "Be kind. " * 200}, *said]})


def fits(messages: int, limit_us: float) -> Case:
    request, way = conversation(messages), row(1)[0][0]
    return Case(f"needs and fit, {messages} messages", limit_us, lambda: unfit(Needs(request), way, INFO))


def sticking(count: int, limit_us: float) -> Case:
    (ways, standings), digest = row(count), prefix_digest(conversation(1))
    return Case(f"preferred of {count} ways", limit_us, lambda: preferred(digest, ways, standings))


def cases() -> Sequence[Case]:
    request, way = conversation(1), row(1)[0][0]
    ewma, recent = PeakEwma(), RecentTimes()
    moments, seconds = iter(range(10**9)), random.Random(0).random  # noqa: S311 - not for secrets
    return [
        *orders(1, 0.8),
        *orders(2, 6.0),
        *orders(5, 9.0),
        Case("needs and fit, nothing known of the model", 2.5, lambda: unfit(Needs(request), way, None)),
        fits(1, 3.5),
        fits(100, 14.0),
        Case("digest of 2 KiB", 8.0, lambda: prefix_digest(request)),
        sticking(1, 0.5),
        sticking(2, 7.0),
        sticking(5, 13.0),
        Case("observe a latency", 1.0, lambda: ewma.observe(0.3, next(moments) / 100)),
        Case("read a latency", 0.5, lambda: ewma.value(0.0)),
        Case("add a recent time", 1.0, lambda: recent.add(seconds(), next(moments) / 1e4)),
        Case("quantile of 256 recent times", 0.8, lambda: recent.quantile(0.95, 0.0)),
    ]


def cost_us(call: Callable[[], object]) -> float:
    """Mean of one call, the loop around it included."""
    begun = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begun) / CALLS * 1e6


def least_us(case: Case) -> float:
    """The least of many passes: neighbours on the machine only ever add. A busy one gets more tries."""
    best_us = math.inf
    for _ in range(TRIES):
        best_us = min(best_us, *(cost_us(case.call) for _ in range(REPEATS)))
        if best_us <= case.limit_us:
            break
    return best_us


class Provider:
    """Answers at once."""

    def __init__(self) -> None:
        self.reply = Ready()

    async def chat(self, call: UpstreamCall) -> Reply:
        return self.reply


class Ready(Reply):
    """A whole answer that is there."""

    def __init__(self) -> None:
        self.head = Head(provider="p", model="p/m", upstream_model="m")
        self.whole = b"{}"
        self.outcome = DONE

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing to close."""


class Attempts:
    """Whole requests of one deployment at a provider that costs nothing, by the stages and by a call alone."""

    def __init__(self) -> None:
        clock, dice, log = SystemClock(), random.Random(1), cast(Log, None)  # noqa: S311 - nothing secret
        breakers = Breakers(clock=clock, log=log)
        fleet = Fleet(breaker_of=breakers.of, workers=lambda: 1, clock=clock, dice=dice)
        ranking = Ranking(known=lambda *_: None, price=lambda _: None, is_on=lambda name: True, clock=clock, dice=dice)
        trip = TripParts(
            admission=cast(Admission, None),
            ranking=ranking,
            options=RoutingOptions(),
            max_retries=lambda _: 2,
            total_s=lambda _: 900.0,
            clock=clock,
            dice=dice,
        )
        self.provider = Provider()
        self.call = Call(
            CallParts(
                providers={"p": cast(Any, self.provider)},
                trip=trip,
                is_on=ranking.is_on,
                claim=breakers.claim,
                hedges=None,
                clock=clock,
                log=log,
            )
        )
        self.rank = Rank(ranking)
        candidate = Candidate(provider="p", upstream_model="m")
        self.route = Route([Group("p/m", [Way(candidate=candidate)])], fleet.member)
        self.request = asking("Hi")

    def exchange(self) -> Exchange:
        exchange = Exchange(
            id="req_1",
            stream_id="str_1",
            surface="rest",
            request=self.request,
            caller=CALLER,
            tasks=cast(Tasks, None),
            received_at=0.0,
        )
        exchange.route, exchange.order = self.route, self.route.plain
        return exchange

    async def routed(self) -> None:
        exchange = self.exchange()
        await self.rank(exchange, self.call)
        exchange.settle(DONE)

    async def direct(self) -> None:
        exchange = self.exchange()
        await self.provider.chat(UpstreamCall(request=exchange.request, candidate=exchange.candidate, request_id="r"))
        exchange.settle(DONE)

    async def cost_us(self) -> float:
        """What ranking, breaker, place, budget and figures add to a call; the least of many passes."""
        least = {}
        for kind in (self.direct, self.routed):
            best = math.inf
            for _ in range(TRIES * REPEATS // 4):
                begun = time.perf_counter()
                for _ in range(CALLS):
                    await kind()
                best = min(best, (time.perf_counter() - begun) / CALLS * 1e6)
            least[kind] = best
        return least[self.routed] - least[self.direct]


def asking(text: str) -> ModelRequest:
    return chat_request({"model": "p/m", "messages": [{"role": "user", "content": text}]}, 60)


def main() -> int:
    gc.disable()
    attempt_us = asyncio.run(Attempts().cost_us())
    print(f"routing of a request with one deployment: {attempt_us:.2f} µs, the limit is {ATTEMPT_LIMIT_US} µs")
    if attempt_us > ATTEMPT_LIMIT_US:
        return 1
    beyond = 0
    for case in cases():
        best_us = least_us(case)
        beyond += best_us > case.limit_us
        verdict = "within" if best_us <= case.limit_us else "beyond"
        print(f"{case.name}: {best_us:.2f} µs, {verdict} the limit of {case.limit_us} µs")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
