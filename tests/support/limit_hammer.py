"""One of many processes that ask one limit store for more than it has; a program that is told what to do by lines.

python tests/support/limit_hammer.py ADDRESS NUMBER (see open_runner); each line is a ``Task`` as JSON and is answered
by a ``Tally``.
"""

import asyncio
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from llm_service.domain import Ask, Claim, Lease, Limit, LimitKind, LimitScope, Settlement
from llm_service.runtime import SystemClock
from llm_service.storage import ValkeyLimits
from tests.support.direct_valkey import open_runner

AT_ONCE: Final = 8
TOKENS: Final = 7
NANO_USD: Final = 5 * 10**11 + 7
COSTS: Final = {"requests": 1, "tokens": TOKENS, "concurrency": 1, "money": NANO_USD}
AMPLE: Final = 2**53 - 1


@dataclass(frozen=True, kw_only=True)
class Task:
    """``take``: ask so often, and keep what is granted; else settle all that is kept. ``room``: how many may pass."""

    prefix: str
    seed: int
    take: bool
    attempts: int
    room: dict[str, int]


@dataclass(kw_only=True)
class Tally:
    """What this process was granted by limit, and what was used in the end, by its own count."""

    granted: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    def count(self, counts: dict[str, int], limit: Limit, by: int) -> None:
        counts[limit.key] = counts.get(limit.key, 0) + by


def limits(room: dict[str, int]) -> dict[str, Limit]:
    """A limit for each kind that just so many claims exhaust, two of providers, and ample ones that all share."""
    return {limit.key: limit for limit in _limits(room)}


def _limits(room: dict[str, int]) -> Iterator[Limit]:
    kinds: Sequence[LimitKind] = ("requests", "tokens", "concurrency", "money")
    for kind in kinds:
        yield _limit("key", kind, room[f"key:{kind}"] * COSTS[kind] + COSTS[kind] - 1)
        yield _limit("global", kind, AMPLE)
    yield _limit("provider", "requests", room["provider:requests"])
    yield _limit("provider", "concurrency", room["provider:concurrency"])


def _limit(scope: LimitScope, kind: LimitKind, amount: int) -> Limit:
    period = "total" if kind == "money" else None
    return Limit(key=f"{scope}:{kind}", scope=scope, subject="", kind=kind, amount=amount, period=period)


def claim(limit: Limit) -> Claim:
    return Claim(limit, COSTS[limit.kind])


class Hammer:
    def __init__(self, store: ValkeyLimits, task: Task, number: int) -> None:
        self.store = store
        self.number = number
        self.all = limits(task.room)
        self.dice = random.Random(task.seed * 1000 + number)
        self.leases: list[Lease] = []

    def asks(self, attempts: int) -> list[Ask]:
        """Each against one of the scarce limits beside the ample ones, in a random order."""
        shared = [claim(self.all[f"global:{kind}"]) for kind in COSTS]
        scarce = [self.all[f"key:{kind}"] for kind in COSTS]
        providers = [[claim(self.all["provider:requests"])], [claim(self.all["provider:concurrency"])]]
        made = []
        for i in range(attempts):
            kind = i % (len(scarce) + 1)
            callers = [*shared, claim(scarce[kind])] if kind < len(scarce) else shared
            candidates = [[]] if kind < len(scarce) else providers
            made.append(Ask(lease_id=f"{self.number}-{i}", callers=callers, candidates=candidates))
        self.dice.shuffle(made)
        return made

    async def take(self, attempts: int) -> Tally:
        tally, waiting = Tally(), iter(self.asks(attempts))

        async def ask_on() -> None:
            for ask in waiting:
                decision = await self.store.admit(ask)
                if isinstance(decision, Lease):
                    self.leases.append(decision)
                    for limit, _ in (*decision.callers, *decision.provider):
                        tally.count(tally.granted, limit, 1)

        await asyncio.gather(*(ask_on() for _ in range(AT_ONCE)))
        return tally

    async def settle(self) -> Tally:
        tally, waiting = Tally(), iter(self.leases)

        async def settle_on() -> None:
            for lease in waiting:
                settlement = self.settlement()
                assert await self.store.settle(lease, settlement)
                self.count(tally, lease, settlement)

        await asyncio.gather(*(settle_on() for _ in range(AT_ONCE)))
        return tally

    def settlement(self) -> Settlement | None:
        if self.dice.random() < 0.2:
            return None
        tokens, nano_usd = self.dice.randint(0, TOKENS), self.dice.randint(0, NANO_USD)
        return Settlement(tokens=tokens, nano_usd=nano_usd, provider=self.dice.random() < 0.7)

    def count(self, tally: Tally, lease: Lease, settlement: Settlement | None) -> None:
        if settlement is None:
            return
        used = {"requests": 1, "tokens": settlement.tokens, "concurrency": 0, "money": settlement.nano_usd}
        for limit, _ in (*lease.callers, *(lease.provider if settlement.provider else ())):
            tally.count(tally.used, limit, used[limit.kind])


async def main(address: str, number: int) -> None:
    runner = await open_runner(address)
    hammer: Hammer | None = None
    for line in iter(sys.stdin.readline, ""):
        task = Task(**json.loads(line))
        if task.take or hammer is None:
            store = ValkeyLimits(runner, prefix=task.prefix, holder=f"{number}", clock=SystemClock())
            hammer = Hammer(store, task, number)
        tally = await (hammer.take(task.attempts) if task.take else hammer.settle())
        print(json.dumps(asdict(tally)), flush=True)
    await runner.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
