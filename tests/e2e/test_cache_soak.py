"""Whatever is stored, the cache takes no more memory than it may: an hour of churn, compressed."""

import asyncio
import random
import time
from pathlib import Path

import orjson
import psutil
import pytest

from tests.support.deployment import ADMIN, sandbox_process, serving_one
from tests.support.evidence import Evidence
from tests.support.rest import ask, connected

MAX_BYTES = 24 * 1024 * 1024
CONNECTIONS = 8
SIZES = (20, 60, 200, 600, 1_200)
"""Tokens of the answers."""


class Churn:
    """Clients that ask for what was mostly never asked before, in answers of many sizes."""

    def __init__(self, address: str, *, ends_at: float) -> None:
        self.address = address
        self.ends_at = ends_at
        self.asked = 0
        self.hits = 0

    async def run(self, seed: int) -> None:
        source = random.Random(seed)
        async with connected(self.address) as connection:
            while time.monotonic() < self.ends_at:
                number = source.randrange(1_000) if source.random() < 0.3 else source.randrange(10**12)
                model = f"plain/sandbox/tokens-{SIZES[number % len(SIZES)]}+pace-0ms"
                body = {
                    "model": model,
                    "messages": [{"role": "user", "content": f"Question {number}"}],
                    "stream": number % 2 == 0,
                }
                answer = await connection.ask("POST", "/v1/chat/completions", orjson.dumps(body), authorization=ADMIN)
                assert answer.status == 200, answer.body
                self.asked += 1
                self.hits += answer.headers["x-llm-cache"] == "hit"


async def cache_of(address: str) -> dict[str, int]:
    found: dict[str, int] = (await ask(address, "GET", "/admin/cache", authorization=ADMIN)).json()["store"]
    return found


@pytest.mark.timeout(500)
@pytest.mark.parametrize("seconds", [10, pytest.param(300, marks=pytest.mark.full)])
async def test_memory_stays_within_the_bound_of_the_cache(tmp_path: Path, evidence: Evidence, seconds: int) -> None:
    settings = {
        "cache": {"enabled": True, "max_bytes": MAX_BYTES},
        "streams": {"retention_s": 0, "total_bytes": 0},
        "observability": {"log_level": "error"},
    }
    with sandbox_process(tmp_path / "upstream") as sandbox, serving_one(tmp_path, 0, sandbox, **settings) as service:
        warm = Churn(service.address, ends_at=time.monotonic() + 1)
        await asyncio.gather(*(warm.run(-1 - number) for number in range(CONNECTIONS)))
        await ask(service.address, "DELETE", "/admin/cache?all=true", authorization=ADMIN)
        process = psutil.Process(service.pid)
        before = process.memory_info().rss

        churn = Churn(service.address, ends_at=time.monotonic() + seconds)
        running = asyncio.gather(*(churn.run(number) for number in range(CONNECTIONS)))
        most_counted = most_resident = 0
        while not running.done():
            await asyncio.wait({running}, timeout=0.5)
            counted = await cache_of(service.address)
            most_counted = max(most_counted, counted["bytes"])
            most_resident = max(most_resident, process.memory_info().rss - before)
        await running
        at_the_end = await cache_of(service.address)

    assert churn.hits > 0, churn.asked
    assert most_counted <= MAX_BYTES
    assert most_resident <= MAX_BYTES * 1.1
    if seconds > 100:
        assert at_the_end["evictions"] > 10_000
    evidence.record(
        "cache-soak",
        title="The memory of the response cache under churn",
        figures={
            "seconds": seconds,
            "requests": churn.asked,
            "hits": churn.hits,
            "evictions": at_the_end["evictions"],
            "max_bytes": MAX_BYTES,
            "most bytes that the cache counted": most_counted,
            "most by which the process grew, in bytes": most_resident,
        },
    )
