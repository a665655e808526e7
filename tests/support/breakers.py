"""Processes that share breakers over one store, with a common time; messages and the store can fail them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from llm_service.domain import Candidate
from llm_service.routing import BREAKERS_TOPIC, Breakers, BreakerSharing
from llm_service.runtime import Tasks
from llm_service.storage import StoreUnavailable, ValkeyBreakers
from llm_service.storage.scripts import ScriptRunner
from tests.support.clock import ManualClock
from tests.support.service import LogLines


class Messages:
    """A bulletin that may lose what is said."""

    def __init__(self) -> None:
        self.lost = False
        self.said: list[str] = []
        self._hear: list[Callable[[str], None]] = []

    async def publish(self, topic: str, text: str) -> None:
        assert topic == BREAKERS_TOPIC
        self.said.append(text)
        self.tell(text)

    def tell(self, text: str) -> None:
        for hear in () if self.lost else self._hear:
            hear(text)

    def listen(self, topic: str, hear: Callable[[str], None]) -> None:
        assert topic == BREAKERS_TOPIC
        self._hear.append(hear)

    async def aclose(self) -> None:
        self._hear.clear()


class FickleRunner:
    """A way to the store that can be away, and on which some answers are held back."""

    def __init__(self, runner: ScriptRunner) -> None:
        self.is_away = False
        self.holds = ""
        """Answers to scripts with these words are held, until they may go on."""
        self.held = 0
        self.go_on = asyncio.Event()
        self.run_id = "run"
        self.asked = 0
        self._runner = runner

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("away")
        answer = await self._runner.run(script, keys, args)
        if self.holds and self.holds in script:
            self.held += 1
            await self.go_on.wait()
        return answer


class Processes:
    """Each has breakers of its own, and all hear of all."""

    def __init__(self, runner: ScriptRunner, prefix: str) -> None:
        self.clock = ManualClock()
        self.messages = Messages()
        self.runner = FickleRunner(runner)
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda work, failure: self.failures.append(failure))
        self.log = LogLines()
        self._prefix = prefix

    def process(self, holder: str) -> Breakers:
        store = ValkeyBreakers(self.runner, prefix=self._prefix, holder=holder, now=self.clock.time)
        sharing = BreakerSharing(
            store,
            bulletin=self.messages,
            clock=self.clock,
            dice=random.Random(1),
            tasks=self.tasks,
            log=self.log,
        )
        breakers = Breakers(clock=self.clock, log=self.log, sharing=sharing)
        breakers.start()
        return breakers

    def fail(self, breakers: Breakers, candidate: Candidate, times: int = 5) -> None:
        breaker, now = breakers.of(candidate), self.clock.monotonic()
        for _ in range(times):
            breaker.failed(now, breaker.permits(now), "it is down")

    async def try_it(self, breakers: Breakers, candidate: Candidate) -> int:
        """The permit of a request that comes now, as a whole."""
        breaker = breakers.of(candidate)
        permit = breaker.permits(self.clock.monotonic())
        return await breakers.claim(breaker, permit) if permit else 0
