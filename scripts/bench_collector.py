"""How often the garbage collector looks while requests are answered, and for how long nothing else goes on.

For the thresholds that a process that serves has, and for Python's own: so many requests, several at once, each a miss
under limits of all kinds. Of each generation: the collections for 10,000 requests, and the longest one.

PYTHONPATH=src:. python scripts/bench_collector.py [--requests 10000] [--at-once 32]
"""

import argparse
import asyncio
import gc
import time
from typing import Any, Final

import orjson
import uvloop
from scripts.bench_bodies import built, one

PYTHONS_OWN: Final = (700, 10, 10)


class Collections:
    """What the collector does in a block."""

    def __init__(self) -> None:
        self.took_s: dict[int, list[float]] = {0: [], 1: [], 2: []}
        self.freed = 0

    def __enter__(self) -> "Collections":
        gc.callbacks.append(self._tell)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._tell)

    def _tell(self, phase: str, facts: dict[str, int]) -> None:
        if phase == "start":
            self._begun = time.thread_time()
        else:
            self.took_s[facts["generation"]].append(time.thread_time() - self._begun)
            self.freed += facts["collected"]


async def ask(app: Any, requests: int, at_once: int) -> float:
    """Microseconds of CPU a request."""
    numbers = iter(range(requests))

    async def client() -> None:
        for number in numbers:
            messages = [{"role": "user", "content": f"{number} " + "x" * 1000}]
            await one(
                app, orjson.dumps({"model": "mock/mock-model", "messages": messages, "seed": time.monotonic_ns()})
            )

    begun = time.thread_time()
    await asyncio.gather(*(client() for _ in range(at_once)))
    return (time.thread_time() - begun) / requests * 1e6


async def main(wanted: argparse.Namespace) -> None:
    async with built() as app:
        tried = [gc.get_threshold(), PYTHONS_OWN, *((young, 20, 20) for young in wanted.young)]
        await ask(app, 1000, wanted.at_once)
        for _ in range(2):
            for thresholds in tried:
                gc.set_threshold(*thresholds)
                with Collections() as collections:
                    cost_us = await ask(app, wanted.requests, wanted.at_once)
                looked_s = sum(map(sum, collections.took_s.values()))
                told = "; ".join(
                    f"generation {at}: {len(took) * 10_000 / wanted.requests:.0f}, longest {max(took) * 1000:.2f} ms"
                    for at, took in collections.took_s.items()
                    if took
                )
                took = f"{looked_s / wanted.requests * 1e6:.1f} of {cost_us:.0f} µs a request"
                print(f"{thresholds}: {told or 'none'}; {took}; {collections.freed} objects freed", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--young", type=int, nargs="*", default=[], help="further thresholds of the youngest")
    uvloop.run(main(parser.parse_args()))
