"""The way of requests that nothing hinders decides as the general way does, takes the same, and says the same."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, Final

import pytest

from llm_service.admission import (
    Admission,
    Admitted,
    AllowanceOptions,
    Arrears,
    Facts,
    Gate,
    Held,
    LimitsOptions,
    Rules,
)
from llm_service.domain import (
    Ask,
    Caller,
    Candidate,
    Limit,
    LimitReached,
    ModelRequest,
    Refused,
    Settlement,
    chat_request,
    completion_request,
    embedding_request,
)
from llm_service.runtime import Tasks
from llm_service.storage import MemoryLimits
from tests.support.clock import ManualClock
from tests.support.service import LogLines
from tests.support.shrinking import shrunk

EPISODES = 200
"""Two seconds of them."""
AMPLE: Final[Mapping[str, Any]] = {
    "requests_per_minute": 10**9,
    "tokens_per_minute": 10**12,
    "concurrent_requests": 10**9,
    "budget_usd": Decimal(10**6),
}
NARROW: Final[Mapping[str, Sequence[Any]]] = {
    "requests_per_minute": (1, 5),
    "tokens_per_minute": (1, 700, 5_248, 40_000),
    "concurrent_requests": (1, 3),
    "budget_usd": (Decimal("0.000001"), Decimal("0.0005"), Decimal("0.02")),
}
CALLERS = [Caller(key_id=name, scopes=frozenset({"inference"})) for name in ("key_1", "key_2")]
CANDIDATES = [Candidate(provider=provider, upstream_model=model) for provider, model in ("pm", "qm", "rm", "pn")]


@dataclass(frozen=True)
class Tiered:
    """A price that rises with the prompt, so that it is no straight line."""

    input_nano: int
    output_nano: int

    def worst_case_nano(self, *, input_tokens: int, output_tokens: int) -> int:
        dearer = 2 if input_tokens > 500 else 1
        return dearer * (self.input_nano * input_tokens + self.output_nano * output_tokens)


@dataclass
class Ground:
    """What is the same for both ways."""

    options: LimitsOptions
    prices: dict[Candidate, Tiered]
    most_output: dict[Candidate, int]
    bounds: dict[Candidate, int]
    counted: int


class AskedGate(Gate):
    """Counts what takes the general way."""

    asked = 0

    async def admit(self, ask: Ask) -> Held | Refused:
        self.asked += 1
        return await super().admit(ask)


@dataclass
class Way:
    """One admission on a store of its own. A store that others share is asked in the general way."""

    ground: Ground
    shared: bool
    counts: int = 0
    at_once: int = 0
    held: list[Admitted] = field(default_factory=list)

    def __post_init__(self) -> None:
        ground, self.clock = self.ground, ManualClock()
        self.store = MemoryLimits(self.clock)
        if self.shared:
            self.store.reach = "machine"
        tasks = Tasks(lambda work, failure: None)
        self.gate = AskedGate(
            self.store,
            here=lambda: MemoryLimits(self.clock),
            spent=self.spent,
            when_shipped=lambda request_id, callback: None,
            arrears=Arrears(self.store, clock=self.clock, tasks=tasks),
            holder="proc_1",
            log=LogLines(),
        )
        facts = Facts(
            price=ground.prices.get,
            most_output=ground.most_output.get,
            bound=lambda request, candidate: ground.bounds[candidate],
            count=self.count,
        )
        self.rules = Rules(ground.options, now=self.clock.now, time=self.clock.time)
        self.admission = Admission(self.gate, self.rules, options=ground.options, facts=facts)

    async def count(self, request: ModelRequest, candidate: Candidate) -> int:
        self.counts += 1
        return self.ground.counted

    async def spent(self, limit: Limit) -> tuple[int, int]:
        return 1_000, 1

    async def stands(self) -> Sequence[object]:
        limits = {limit for caller in CALLERS for limit in self.rules.of_caller(caller, user="ann", model="m").limits}
        limits |= {limit for one in CANDIDATES for limit in self.rules.of_provider(one.provider).limits}
        return await self.store.read(sorted(limits, key=lambda limit: limit.key))


def told(admitted: Admitted) -> object:
    """All of it but the store that it is in."""
    if admitted.held is None:
        return admitted
    lease = admitted.held.lease
    return (
        [*lease.callers], [*lease.provider], lease.candidate, lease.second, [*lease.used], [*admitted.held.budgets],
        admitted.candidate, admitted.unpriced, admitted.cap, admitted.size, admitted.nano_usd, admitted.inner,
    )  # fmt: skip


async def outcome_of(asking: Awaitable[Admitted], held: list[Admitted]) -> object:
    try:
        admitted = await asking
    except LimitReached as error:
        return type(error), error.message, error.retry_after_s, error.retryable, error.limit, error.used, error.reserved
    held.append(admitted)
    return told(admitted)


@dataclass(frozen=True)
class Asks:
    """A request; ``first`` of its candidates may be called first. ``free``: somebody else's call answers it."""

    request: ModelRequest
    caller: Caller
    user: str | None
    candidates: tuple[Candidate, ...]
    first: int
    free: bool

    async def on(self, way: Way, number: int) -> object:
        admission, before, had = way.admission, way.gate.asked, len(way.held)
        whose: dict[str, Any] = {"lease_id": f"req_{number}", "caller": self.caller, "user": self.user}
        if self.free:
            return await outcome_of(admission.admit_free(self.request, **whose), way.held)
        candidates, later = self.candidates[: self.first], self.candidates[self.first :]
        outcome = await outcome_of(admission.admit(self.request, **whose, candidates=candidates, later=later), way.held)
        way.at_once += way.gate.asked == before and len(way.held) > had and way.held[-1].held is not None
        return outcome


@dataclass(frozen=True)
class Settles:
    """One of the requests that run is over."""

    which: int
    settlement: Settlement | None

    async def on(self, way: Way, number: int) -> object:
        if way.held:
            await way.admission.settle(way.held.pop(self.which % len(way.held)), self.settlement)
        return None


@dataclass(frozen=True)
class Passes:
    """Time does, or the clock is set back."""

    by_s: float

    async def on(self, way: Way, number: int) -> object:
        if self.by_s < 0:
            way.clock.set_back(-self.by_s)
        else:
            way.clock.advance(self.by_s)
        return await way.store.beat()


Step = Asks | Settles | Passes


class Episode:
    """Draws limits with much room, with some and with none, and what comes to pass under them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.ground = self.drawn_ground()
        self.steps = [self.step() for _ in range(random.randint(1, 30))]

    def drawn_ground(self) -> Ground:
        random, choose = self.random, self.random.choice
        options = LimitsOptions(
            everybody=self.allowance(),
            per_key=self.allowance(),
            per_user=self.allowance(),
            per_model={"m": self.allowance()},
            per_provider={name: self.allowance() for name in "pqr" if random.random() < 0.5},
            max_output_tokens=choose((256, 1_000, 32_000)),
            unknown_price=choose(("refuse", "allow")),
        )
        known = CANDIDATES if random.random() < 0.9 else CANDIDATES[1:]
        return Ground(
            options=options,
            prices={one: Tiered(choose((0, 1, 30)), choose((0, 7, 100))) for one in known},
            most_output={one: choose((8, 300, 10**6)) for one in CANDIDATES if random.random() < 0.3},
            bounds={one: choose((0, 10, 400, 600)) for one in CANDIDATES},
            counted=choose((0, 9, 500)),
        )

    def allowance(self) -> AllowanceOptions:
        """Nothing, ample limits, or one that is narrow beside others."""
        chosen = {kind: ample for kind, ample in AMPLE.items() if self.random.random() < 0.6}
        if chosen and self.random.random() < 0.2:
            kind = self.random.choice(list(chosen))
            chosen[kind] = self.random.choice(NARROW[kind])
        return AllowanceOptions(**chosen, budget_period=self.random.choice(("hour", "month", "total")))

    def step(self) -> Step:
        random, choose = self.random, self.random.choice
        kind = random.random()
        if kind < 0.6:
            candidates = tuple(random.sample(CANDIDATES, random.randint(1, 3)))
            return Asks(
                request=self.request(),
                caller=choose(CALLERS),
                user=choose((None, "ann")),
                candidates=candidates,
                first=random.randint(1, len(candidates)),
                free=random.random() < 0.2,
            )
        if kind < 0.8:
            used = Settlement(
                tokens=random.randrange(2_000), nano_usd=random.randrange(10**6), provider=random.random() < 0.7
            )
            return Settles(random.randrange(10), choose((used, used, None)))
        return Passes(choose((0.5, 1.0, 30.0, 61.0, 200.0, 4_000.0, -1.0, -61.0)))

    def request(self) -> ModelRequest:
        choose = self.random.choice
        fields: dict[str, Any] = {"model": "m", **choose(({}, {"n": 3})), **choose(({}, {"max_tokens": 50}))}
        match choose(("chat", "chat", "completion", "embedding")):
            case "chat":
                return chat_request({**fields, "messages": [{"role": "user", "content": "Hi"}]}, 60)
            case "completion":
                return completion_request({**fields, "prompt": ["a", "b"]}, 60)
            case _:
                return embedding_request({"model": "m", "input": "Hi"}, 30)


# -- the test


async def compared(ground: Ground, steps: Sequence[Step]) -> int:
    """How many were admitted at once. Raises AssertionError where the two ways differ."""
    ways = Way(ground, shared=False), Way(ground, shared=True)
    for number, step in enumerate(steps):
        at_once, general = [await step.on(way, number) for way in ways]
        assert at_once == general
        assert await ways[0].stands() == await ways[1].stands()
        assert ways[0].counts == ways[1].counts
    return ways[0].at_once


def differs(ground: Ground, steps: Sequence[Step]) -> bool:
    try:
        asyncio.run(compared(ground, steps))
    except AssertionError:
        return True
    return False


def walk(*, seed: int, episodes: int) -> int:
    """How many were admitted at once. Raises the first difference; its note has the few steps that lead there."""
    random, at_once = Random(seed), 0
    for number in range(episodes):
        episode = Episode(random)
        try:
            at_once += asyncio.run(compared(episode.ground, episode.steps))
        except AssertionError as difference:
            few = shrunk(episode.steps, fails=lambda steps: differs(episode.ground, steps), simpler=lambda step: ())  # noqa: B023
            difference.add_note("\n".join([f"seed {seed}, episode {number}: {episode.ground}", *map(repr, few)]))
            raise
    return at_once


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.full] if seed else []) for seed in range(20)])
def test_both_ways_decide_alike(seed: int) -> None:
    assert walk(seed=seed, episodes=EPISODES) > EPISODES
