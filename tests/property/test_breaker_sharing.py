"""However calls and messages of processes cross: one request at a time tries a deployment, and all come back."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from llm_service.domain import Candidate
from llm_service.routing import Breaker, Breakers
from llm_service.storage.scripts import script
from tests.support.breakers import Processes
from tests.support.clock import ManualClock
from tests.support.direct_valkey import valkey_socket
from tests.support.waiting import loop_turns, until

__all__ = ["valkey_socket"]

DEPLOYMENT = Candidate(provider="deepseek", upstream_model="deepseek-chat")
LONGEST_S = 4.0
STEPS = 120
SEEDS = 80


class Delays:
    """Calls and answers are under way for a while that is never the same, so that they overtake each other.

    The store itself answers while everything waits: however slow the machine is, a walk is the same.
    """

    def __init__(self, path: str, dice: random.Random) -> None:
        self.clock = ManualClock()
        self.closings = 0
        self._store = Redis(unix_socket_path=path)
        self._dice = dice
        self._close = script("breaker_common", "breaker_close")

    async def run(self, text: str, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        await loop_turns(self._dice.randrange(8))
        answer: Any = self._store.eval(text, len(keys), *keys, round(self.clock.time() * 1000), *args[1:])
        self.closings += text == self._close and answer[0]
        await loop_turns(self._dice.randrange(8))
        return answer

    def close(self) -> None:
        self._store.close()


@dataclass
class Probe:
    breaker: Breaker
    permit: int
    began: float
    granted: float
    era: int
    """How often the breaker had been closed by then."""

    def meets(self, other: "Probe") -> bool:
        """Whether both have the same place at the same time for sure, whenever the store decided on them."""
        times = self.granted < other.began + LONGEST_S and other.granted < self.began + LONGEST_S
        return times and self.era == other.era


class Walk(Processes):
    """A random walk of three processes."""

    def __init__(self, runner: Delays, dice: random.Random, *, outages: bool) -> None:
        super().__init__(runner, f"{uuid4().hex}:")
        self.ways = runner
        runner.clock = self.clock
        self.dice = dice
        self.outages = outages
        self.all = [self.process(f"{number}") for number in range(3)]
        self.probes: list[Probe] = []
        self.tried = 0

    async def walk(self) -> None:
        async with asyncio.TaskGroup() as requests:
            for _ in range(STEPS):
                process = self.dice.choice(self.all)
                match self.dice.choices(
                    ("fail", "request", "verdict", "time", "messages", "store"), (3, 10, 5, 4, 1, 1)
                )[0]:
                    case "fail":
                        self.fail(process, DEPLOYMENT)
                    case "request":
                        requests.create_task(self.request(process))
                    case "verdict" if self.probes:
                        self.verdict(self.probes.pop(self.dice.randrange(len(self.probes))))
                    case "time":
                        self.clock.advance(self.dice.choice((0.01, 0.3, 1.0, 1.3, 4.0)))
                    case "messages":
                        self.messages.lost = not self.messages.lost
                    case "store" if self.outages:
                        self.runner.is_away = not self.runner.is_away
                await loop_turns(self.dice.randrange(12))

    async def request(self, process: Breakers) -> None:
        began, era, breaker = self.clock.monotonic(), self.ways.closings, process.of(DEPLOYMENT)
        permit = await self.try_it(process, DEPLOYMENT)
        if permit and not breaker.closed:
            probe, self.tried = Probe(breaker, permit, began, self.clock.monotonic(), era), self.tried + 1
            if not self.outages and era == self.ways.closings:
                assert not [one for one in self.probes if one.meets(probe)]
            self.probes.append(probe)

    def verdict(self, probe: Probe) -> None:
        now, breaker, permit = self.clock.monotonic(), probe.breaker, probe.permit
        match self.dice.randrange(4):
            case 0:
                breaker.succeeded(now, permit)
            case 1:
                breaker.abandoned(now, permit)
            case 2:
                breaker.limited(now, permit, 2.0)
            case _:
                breaker.failed(now, permit, "still down")

    async def recovers(self) -> None:
        """The deployment answers again: a few tries later all processes ask it, within their longest pause or two."""
        self.messages.lost = self.runner.is_away = False
        for _ in range(12):
            self.clock.advance(1.3)
            await self.rests()
            for process in self.all:
                permit = await self.try_it(process, DEPLOYMENT)
                if permit:
                    process.of(DEPLOYMENT).succeeded(self.clock.monotonic(), permit)
                await self.rests()
        assert [process.of(DEPLOYMENT).closed for process in self.all] == [True] * 3

    async def rests(self) -> None:
        await until(lambda: len(self.tasks) == self.clock.timers == len(self.all))


async def walked(address: str, seed: int, *, outages: bool) -> int:
    """How many probes there were."""
    dice = random.Random(seed)
    runner = Delays(address, dice)
    walk = Walk(runner, dice, outages=outages)
    try:
        await walk.walk()
        await walk.recovers()
        assert walk.failures == []
        assert [line for line in walk.log.lines if line["level"] == "error"] == []
        return walk.tried
    finally:
        await walk.tasks.aclose()
        runner.close()


@pytest.mark.parametrize("outages", [False, True])
async def test_one_request_at_a_time_tries_and_all_come_back(valkey_socket: str, outages: bool) -> None:
    tried = [await walked(valkey_socket, seed, outages=outages) for seed in range(SEEDS)]
    assert sum(tried) > SEEDS


@pytest.mark.full
@pytest.mark.parametrize("outages", [False, True])
async def test_one_request_at_a_time_tries_and_all_come_back_with_every_seed(
    valkey_socket: str,
    outages: bool,
) -> None:
    for seed in range(2_000):
        await walked(valkey_socket, seed, outages=outages)
