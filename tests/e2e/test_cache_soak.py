"""Whatever is stored, the cache takes no more memory than it may: an hour of churn, compressed."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from llm_service.storage import SQLITE_NAME
from tests.support.deployment import ADMIN, sandbox_process, serving_one
from tests.support.evidence import Evidence
from tests.support.rest import ask, connected

BOUNDED_S = 10
MAX_BYTES = 24 * 1024 * 1024
WAITING = 4_096
"""Records that the ledger keeps in memory at most until the database takes them, and remembers when it has."""
RECORDS = 12_000
"""After so many the page cache of the database is full: 8 MiB, of 750 bytes a record."""
STEP_BYTES = 512 * 1024
CONNECTIONS = 8
SIZES = (20, 60, 200, 600, 1_200)
"""Tokens of the answers."""


class Churn:
    """Clients that ask for what was mostly never asked before, in answers of many sizes."""

    def __init__(self, address: str, *, goes_on: Callable[[], bool], **headers: str) -> None:
        self.address = address
        self.goes_on = goes_on
        self.headers = {"authorization": ADMIN, **headers}
        self.asked = 0
        self.hits = 0

    async def run(self, seed: int) -> None:
        source = random.Random(seed)
        async with connected(self.address) as connection:
            while self.goes_on():
                number = source.randrange(1_000) if source.random() < 0.3 else source.randrange(10**12)
                model = f"plain/sandbox/tokens-{SIZES[number % len(SIZES)]}+pace-0ms"
                body = {
                    "model": model,
                    "messages": [{"role": "user", "content": f"Question {number}"}],
                    "stream": number % 2 == 0,
                }
                answer = await connection.ask("POST", "/v1/chat/completions", orjson.dumps(body), **self.headers)
                assert answer.status == 200, answer.body
                self.asked += 1
                self.hits += answer.headers["x-llm-cache"] == "hit"


async def grown(address: str, process: psutil.Process, database: Path) -> None:
    """Have the process take what requests take for good; they are the same ones, but the cache keeps nothing.

    What takes long to show is brought about: the database takes no records until as many wait as ever may. What
    requests in flight take at most shows by and by, so it goes on until many have come without the process growing.
    """
    done = asyncio.Event()
    churn = Churn(address, goes_on=lambda: not done.is_set(), cache_control="no-store")
    running = asyncio.gather(*(churn.run(-1 - number) for number in range(CONNECTIONS)))
    with taking_nothing(database):
        while not running.done() and (await waiting_records(address)) < WAITING:
            await asyncio.wait({running}, timeout=0.5)
    resident_bytes = grown_at = 0
    while not done.is_set():
        await asyncio.wait({running}, timeout=0.5)
        stats, now_bytes = await stats_of(address), process.memory_info().rss
        assert stats["store"]["entries"] == 0
        written = stats["total"]["requests"]
        if now_bytes > resident_bytes + STEP_BYTES:
            resident_bytes, grown_at = now_bytes, written
        if running.done() or (written >= RECORDS and written - grown_at >= RECORDS):
            done.set()
    await running


@contextmanager
def taking_nothing(database: Path) -> Iterator[None]:
    """A database that somebody else is writing to all the time."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def warm(address: str) -> None:
    """What a bounded run has time for; what the purged answers leave behind stands for what has not grown yet."""
    ends_at = time.monotonic() + 1
    churn = Churn(address, goes_on=lambda: time.monotonic() < ends_at)
    await asyncio.gather(*(churn.run(-1 - number) for number in range(CONNECTIONS)))
    await ask(address, "DELETE", "/admin/cache?all=true", authorization=ADMIN)


async def waiting_records(address: str) -> int:
    health = (await ask(address, "GET", "/health", authorization=ADMIN)).json()
    return int(health["stores"]["ledger"]["unshipped_records"])


async def stats_of(address: str) -> Any:
    return (await ask(address, "GET", "/admin/cache", authorization=ADMIN)).json()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [BOUNDED_S, pytest.param(300, marks=pytest.mark.full)])
async def test_memory_stays_within_the_bound_of_the_cache(tmp_path: Path, evidence: Evidence, seconds: int) -> None:
    settings = {
        "cache": {"enabled": True, "max_bytes": MAX_BYTES},
        "streams": {"retention_s": 0, "total_bytes": 0},
        "observability": {"log_level": "error"},
    }
    with sandbox_process(tmp_path / "upstream") as sandbox, serving_one(tmp_path, 0, sandbox, **settings) as service:
        process = psutil.Process(service.pid)
        if seconds == BOUNDED_S:
            await warm(service.address)
        else:
            await grown(service.address, process, tmp_path / "data0" / SQLITE_NAME)
        before = process.memory_info().rss

        ends_at = time.monotonic() + seconds
        churn = Churn(service.address, goes_on=lambda: time.monotonic() < ends_at)
        running = asyncio.gather(*(churn.run(number) for number in range(CONNECTIONS)))
        most_counted = most_resident = 0
        while not running.done():
            await asyncio.wait({running}, timeout=0.5)
            counted = (await stats_of(service.address))["store"]
            most_counted = max(most_counted, counted["bytes"])
            most_resident = max(most_resident, process.memory_info().rss - before)
        await running
        at_the_end = (await stats_of(service.address))["store"]

    assert churn.hits > 0, churn.asked
    assert most_counted <= MAX_BYTES
    assert most_resident <= MAX_BYTES * 1.1
    if seconds == BOUNDED_S:
        return
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
