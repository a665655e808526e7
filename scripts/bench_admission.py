"""Holds the cost of limits in one process: admitting and settling a request under eight of them, at most 40 µs."""

import asyncio
import gc
import sys
import time
from collections.abc import Sequence

from llm_service.domain import Ask, Claims, Lease, Limit, LimitKind, LimitScope, LimitSet, Settlement
from llm_service.runtime import SystemClock
from llm_service.storage import MemoryLimits

LIMIT_US = 40.0
REQUESTS = 100
REPEATS = 40
TRIES = 20
AMPLE = 10**12
USED = Settlement(tokens=400, nano_usd=70_000)


def claims() -> Claims:
    """Every kind for a key and for all, as a plan claims them; permits of a provider are apart."""
    kinds: dict[LimitKind, int] = {"requests": 1, "tokens": 1_000, "concurrency": 1, "money": 200_000}
    scopes: tuple[LimitScope, ...] = ("key", "global")
    limits = LimitSet(
        Limit(key=f"{scope}:{kind}", scope=scope, subject="", kind=kind, amount=AMPLE)
        for scope in scopes
        for kind in kinds
    )
    return Claims(limits, (*kinds.values(), *kinds.values()))


def cost_us(store: MemoryLimits, asks: Sequence[Ask]) -> float:
    """Mean of admitting and settling."""
    begun = time.perf_counter()
    for ask in asks:
        lease = store.admit_at_once(ask)
        if not isinstance(lease, Lease):
            raise TypeError(f"refused: {lease}")
        store.settle_at_once(lease.id, USED)
    return (time.perf_counter() - begun) / len(asks) * 1e6


def least_us(store: MemoryLimits, asks: Sequence[Ask]) -> float:
    """The least of many passes: neighbours on the machine only ever add. A busy one gets more tries."""
    best_us = cost_us(store, asks)
    for _ in range(TRIES):
        best_us = min(best_us, *(cost_us(store, asks) for _ in range(REPEATS)))
        if best_us <= LIMIT_US:
            break
    return best_us


async def seeded(callers: Claims) -> MemoryLimits:
    store = MemoryLimits(SystemClock())
    for limit in callers.of.budgets:
        await store.seed(limit, used=0, mark=0)
    return store


def main() -> int:
    callers = claims()
    permits = Limit(key="provider:requests", scope="provider", subject="a", kind="requests", amount=AMPLE)
    of_provider = Claims(LimitSet([permits]), (1,))
    asks = [Ask(f"req_{number}", callers, [of_provider]) for number in range(REQUESTS)]
    store = asyncio.run(seeded(callers))
    gc.disable()
    best_us = least_us(store, asks)
    verdict = "within" if best_us <= LIMIT_US else "beyond"
    print(f"admit and settle under {len(callers) + 1} limits: {best_us:.1f} µs, {verdict} the limit of {LIMIT_US} µs")
    return 0 if best_us <= LIMIT_US else 1


if __name__ == "__main__":
    sys.exit(main())
