"""Holds the cost of the row itself: ten stages that do nothing, there and back, at most 3 µs a request."""

import gc
import sys
import time
from collections.abc import Coroutine, Sequence
from typing import Any, cast

from llm_service.domain import Caller, Reply, chat_request
from llm_service.pipeline import Exchange, Proceed, compose
from llm_service.runtime import SystemClock, Tasks

STAGES = 10
LIMIT_US = 3.0
EXCHANGES = 100
REPEATS = 400
TRIES = 20


async def empty_stage(exchange: Exchange, proceed: Proceed) -> Reply:
    return await proceed(exchange)


async def no_provider(_exchange: Exchange) -> Reply:
    return cast(Reply, None)


def exchanges(count: int) -> Sequence[Exchange]:
    request = chat_request({"model": "fast", "messages": [{"role": "user", "content": "Hello"}]})
    caller = Caller(key_id="local", scopes=frozenset(("inference",)))
    tasks = Tasks(on_failure=report)
    return [
        Exchange(
            id=f"req_{number}",
            stream_id=f"stream_{number}",
            surface="rest",
            request=request,
            caller=caller,
            tasks=tasks,
            received_at=0.0,
        )
        for number in range(count)
    ]


def report(name: str, failure: BaseException) -> None:
    raise RuntimeError(name) from failure


def cost_us(row: Proceed) -> float:
    """Mean of one pass over fresh exchanges; nothing in the row waits, so no event loop is needed to run it."""
    waiting = exchanges(EXCHANGES)
    begun = time.perf_counter()
    for exchange in waiting:
        try:
            cast(Coroutine[Any, Any, Reply], row(exchange)).send(None)
        except StopIteration:
            continue
        raise RuntimeError("an empty stage waits")
    return (time.perf_counter() - begun) / EXCHANGES * 1e6


def least_us(row: Proceed) -> float:
    """The least of many passes: neighbours on the machine only ever add. A busy one gets more tries."""
    best_us = cost_us(row)
    for _ in range(TRIES):
        best_us = min(best_us, *(cost_us(row) for _ in range(REPEATS)))
        if best_us <= LIMIT_US:
            break
    return best_us


def main() -> int:
    stages = [(f"stage_{number}", empty_stage) for number in range(STAGES)]
    row = compose(stages, ("provider", no_provider), now=SystemClock().monotonic).proceed
    gc.disable()
    best_us = least_us(row)
    verdict = "within" if best_us <= LIMIT_US else "beyond"
    print(f"a row of {STAGES} empty stages: {best_us:.2f} µs, {verdict} the limit of {LIMIT_US} µs")
    return 0 if best_us <= LIMIT_US else 1


if __name__ == "__main__":
    sys.exit(main())
