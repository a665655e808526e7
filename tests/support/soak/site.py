"""Two workers on a Valkey and a PostgreSQL of their own, in front of simulated providers behind lines that fail."""

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import psutil

from tests.support.chaos.house import House, house
from tests.support.deployment import ADMIN, administered
from tests.support.postgres import PostgresServer
from tests.support.rest import ask
from tests.support.valkey import Server
from tests.support.waiting import until

WORKERS: Final = 2
TIMEOUTS: Final[Mapping[str, float]] = {"connect_s": 2.0, "first_chunk_s": 3.0, "idle_s": 3.0, "total_s": 10.0}
MODEL: Final = "sandbox/pace-5ms"
SLOW: Final = "sandbox/pace-40ms"
CACHE_BYTES: Final = 3 * 1024 * 1024
"""So little that the cache is full, and forgets, before memory is looked at."""
REQUESTS_PER_MINUTE: Final = 90
AT_ONCE: Final = 3
KEYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "work": {},
    "minute": {"requests_per_minute": REQUESTS_PER_MINUTE},
    "at once": {"concurrent_requests": AT_ONCE},
    "poor": {"budget_period": "total"},
}


class LogFile:
    """The log of the service, of which each line is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self.errors: list[dict[str, Any]] = []
        self.lines = self.bytes = 0
        self._rest = b""

    def count(self, event: str) -> int:
        """How often this has been said so far."""
        self.read()
        return self.counts.get(event, 0)

    def read(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self.bytes)
            data = file.read()
        self.bytes += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += len(lines)
        for line in lines:
            if b'"event":"request"' not in line:
                self._take(orjson.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        self.counts[line["event"]] = self.counts.get(line["event"], 0) + 1
        if line["level"] == "error":
            self.errors.append(line)


@dataclass
class Site:
    """All of it, while it runs."""

    house: House
    valkey: Server
    postgres: PostgresServer
    database_url: str
    log: LogFile
    keys: dict[str, str] = field(default_factory=dict)
    key_ids: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.house.service.address

    def workers(self) -> list[psutil.Process]:
        """The processes that answer requests, also those that come or go just now."""
        return psutil.Process(self.house.service.pid).children()

    async def issue_keys(self, *, budget_usd: str) -> None:
        """An api key for each sort of client."""
        for name, fields in KEYS.items():
            own = {**fields, "budget_usd": budget_usd} if "budget_period" in fields else fields
            issued = await administered(self.address, "POST", "", **{"name": name, **own})
            self.keys[name], self.key_ids[name] = issued["key"], issued["id"]

    async def limits_of(self, name: str) -> list[dict[str, Any]]:
        """Where the limits of a key stand; nothing while that cannot be told, since the database is away."""
        answer = await ask(self.address, "GET", f"/admin/limits?key_id={self.key_ids[name]}", authorization=ADMIN)
        if answer.status == 503:
            return []
        return [one for one in answer.json()["data"] if one["scope"] == "key"]

    async def kill_worker(self) -> None:
        """kill -9 of one of them, until another is there."""
        ready, (victim, *_) = self.log.count("worker ready"), self.workers()
        os.kill(victim.pid, signal.SIGKILL)
        await until(lambda: self.log.count("worker ready") > ready, within_s=60)

    async def renew_workers(self) -> None:
        """All of them one after the other, as an operator does."""
        renewed = self.log.count("renewed")
        self.house.service.child.signal(signal.SIGUSR2)
        await until(lambda: self.log.count("renewed") > renewed, within_s=120)


@asynccontextmanager
async def site(folder: Path, *, valkey: Server, postgres: PostgresServer) -> AsyncIterator[Site]:
    """The servers are the caller's."""
    database_url = await postgres.new_database()
    log = folder / "service.log"
    pair = [{"provider": name, "model": MODEL} for name in ("first", "second")]
    settings: dict[str, Any] = {
        "store": {"redis_url": valkey.url, "database_url": database_url},
        "cache": {"enabled": True, "max_bytes": CACHE_BYTES},
        "streams": {"retention_s": 60},
        "observability": {"log_file": str(log), "log_max_bytes": 2**33},
        "prices": {f"{name}/*": {"input_usd": 3, "output_usd": 7} for name in ("first", "second", "third")},
        "models": {
            "main": {"deployments": pair},
            "slow": {"deployments": [{"provider": name, "model": SLOW} for name in ("first", "second")]},
        },
    }
    async with house(folder, workers=WORKERS, timeouts=TIMEOUTS, cached=True, **settings) as made:
        yield Site(made, valkey, postgres, database_url, LogFile(log))
